// The app that every target serves, seen from outside: its paths, and the book of increments it is held to.
//
// Rule: a target that loses or invents an increment has no figures. The book keeps two numbers, because the fast driver
// leaves up to one unanswered request per connection behind: increments that were surely acknowledged, and increments
// that were possibly sent. The sum of all counters must lie between them; then a load that is drained to the end must be
// matched exactly, answer by answer.

import { Client } from "./client.ts";

/** Cells of the app, and connections of every load. Counts. */
export const CELLS = 1000;
export const CONNECTIONS = 64;

/** Increments per cell of the exact check. Count. */
const CHECKED_PER_CELL = 3;

/** Path of a cell by its number; what `wrk.lua` asks for too. */
export function cellPath(cell: number): string {
  return `/cells/cell-${cell}`;
}

/** Bounds for the sum of all counters of one target. */
export interface Book {
  acknowledged: number;
  sent: number;
}

function numbers(cells: number): number[] {
  return Array.from({ length: cells }, (_, cell) => cell);
}

/** Increments every cell once, so that each exists and is open before anything is measured. */
export async function prime(port: number, book: Book, cells: number): Promise<void> {
  const client = new Client(port, CONNECTIONS);
  try {
    await client.each(numbers(cells), (cell) => client.count("POST", `${cellPath(cell)}/incr`));
  } finally {
    client.close();
  }
  book.acknowledged += cells;
  book.sent += cells;
}

/** Throws, saying what is wrong, unless the counters of the target agree with the book and a drained load is exact. */
export async function verify(port: number, book: Book, cells: number): Promise<void> {
  const client = new Client(port, CONNECTIONS);
  const readAll = (): Promise<number[]> => client.each(numbers(cells), (cell) => client.count("GET", cellPath(cell)));
  try {
    const before = await readAll();
    const sum = before.reduce((a, b) => a + b, 0);
    if (sum < book.acknowledged || sum > book.sent) {
      throw new Error(
        `the counters add up to ${sum}, but ${book.acknowledged} increments were acknowledged and ${book.sent} sent`,
      );
    }
    const order = Array.from({ length: cells * CHECKED_PER_CELL }, () => Math.floor(Math.random() * cells));
    const answers = await client.each(order, (cell) => client.count("POST", `${cellPath(cell)}/incr`));
    const after = await readAll();
    checkAnswers(before, order, answers, after);
  } finally {
    client.close();
  }
}

/** Throws unless the answers of each cell are the numbers right after its old count, each once, up to its new count. */
export function checkAnswers(
  before: readonly number[],
  order: readonly number[],
  answers: readonly number[],
  after: readonly number[],
): void {
  const perCell = Map.groupBy(order.keys(), (at) => order[at] as number);
  for (const [cell, old] of before.entries()) {
    const got = (perCell.get(cell) ?? []).map((at) => answers[at] as number).sort((a, b) => a - b);
    for (const [i, answer] of got.entries()) {
      if (answer !== old + 1 + i)
        throw new Error(`cell ${cell} stood at ${old}; its increments were answered ${got.join(", ")}`);
    }
    if (after[cell] !== old + got.length) {
      throw new Error(`cell ${cell} stood at ${old}, acknowledged ${got.length} increments, and reads ${after[cell]}`);
    }
  }
}
