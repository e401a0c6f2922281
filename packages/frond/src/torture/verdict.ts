// What must be true of the actors after a fault: checks over what clients were told and what is there now.
//
// Rule: a pure function from observations to sentences, like core/invariants.ts. The order of the notes is the only clock:
// what was heard before something else was sent happened before it; of anything else it may not be said. A deletion that
// may have come after a write excuses its absence, and nothing else does.

import type { Fault } from "../core/invariants.ts";
import type { Durability } from "../types.ts";
import { type ActorRow, type ActorShown, cellOf, type Report } from "./script.ts";

/** One line of what the clients did and heard, in order. */
export type Note =
  | {
      readonly sent: number;
      readonly tokens: readonly string[];
      readonly never: readonly string[];
      readonly erases: readonly { readonly id: string; readonly cell: string }[];
    }
  | { readonly heard: Omit<Report, "wrong"> };

/** What the checks compare. */
export interface Evidence {
  /** What was shown when the last fault had been recovered from. */
  readonly past: readonly ActorShown[];
  readonly notes: readonly Note[];
  readonly shown: readonly ActorShown[];
  readonly fault: Fault;
  /** The level of a kind. */
  readonly levels: Readonly<Record<string, Durability>>;
  /** Records of a cell in the log since it began to exist. */
  readonly commits: ReadonlyMap<string, number>;
}

interface Erasure {
  readonly sent: number;
  heard: number;
}

/** What the notes say, by token and by cell. Places are numbers of notes. */
class Story {
  readonly sent = new Map<string, number>();
  readonly never = new Set<string>();
  readonly heard = new Map<string, number>();
  readonly erasures = new Map<string, Erasure[]>();

  constructor(notes: readonly Note[]) {
    const byId = new Map<string, Erasure>();
    for (const [at, note] of notes.entries()) {
      if ("sent" in note) {
        for (const token of note.tokens) this.sent.set(token, at);
        for (const token of note.never) this.never.add(token);
        for (const { id, cell } of note.erases) {
          const erasure = { sent: at, heard: Infinity };
          byId.set(id, erasure);
          this.erasures.set(cell, [...(this.erasures.get(cell) ?? []), erasure]);
        }
        continue;
      }
      for (const token of note.heard.seen) if (!this.heard.has(token)) this.heard.set(token, at);
      for (const id of note.heard.erased) {
        const erasure = byId.get(id);
        if (erasure?.heard === Infinity) erasure.heard = at;
      }
    }
  }

  /** A deletion of its cell may have come after the write of this token. */
  mayBeErased(token: string): boolean {
    const sent = this.sent.get(token) ?? -1;
    return (this.erasures.get(cellOf(token)) ?? []).some((erasure) => erasure.heard > sent);
  }

  /** A deletion of its cell was acknowledged that began after this token had been heard of. */
  isErased(token: string, old: boolean): boolean {
    const heard = old ? -1 : (this.heard.get(token) ?? Infinity);
    return (this.erasures.get(cellOf(token)) ?? []).some(({ sent, heard: end }) => end < Infinity && heard < sent);
  }
}

/** Sentences, one for each promise that was broken. */
export function judge(evidence: Evidence): string[] {
  const { past, notes, shown, fault, levels, commits } = evidence;
  const story = new Story(notes);
  const there = new Set(shown.flatMap((cell) => cell.rows.map((row) => row.token)));
  const before = new Map(past.map((cell) => [cell.cell, cell.rows]));
  const old = new Set(past.flatMap((cell) => cell.rows.map((row) => row.token)));
  const wrong = toldIsThere(story, there, old, (cell) => covers(levels, cell, fault), fault);
  for (const actor of shown) {
    const say = (what: string): void => void wrong.push(`${actor.cell}: ${what}`);
    countersFit(actor, say);
    unitsAreWhole(actor, commits.get(actor.cell) ?? 0, say);
    rowsWereSent(actor, story, there, old, covers(levels, actor.cell, fault), say);
    pastIsKept(actor, before.get(actor.cell) ?? [], story, say);
  }
  return wrong;
}

/** What this level promises outlives the fault. */
function covers(levels: Evidence["levels"], cell: string, fault: Fault): boolean {
  return fault === "stop" || levels[cell.slice(0, cell.indexOf("/"))] === "disk";
}

/** I2: whatever any answer named is there, of whichever cell. */
function toldIsThere(
  story: Story,
  there: ReadonlySet<string>,
  old: ReadonlySet<string>,
  covered: (cell: string) => boolean,
  fault: Fault,
): string[] {
  const wrong: string[] = [];
  for (const token of story.heard.keys()) {
    if (story.never.has(token)) wrong.push(`I6: ${token} was told, but is always taken back`);
    else if (!story.sent.has(token) && !old.has(token)) wrong.push(`I5: ${token} was told, but never sent`);
    else if (covered(cellOf(token)) && !there.has(token) && !story.mayBeErased(token)) {
      wrong.push(`I2: ${token} was told and is gone after a ${fault}`);
    }
  }
  return wrong;
}

/** I6: what one transaction writes to several places is in all of them. */
function countersFit(actor: ActorShown, say: (what: string) => void): void {
  const { rows, tally, last, bumps } = actor;
  for (const sentence of actor.wrong) say(`I6: ${sentence}`);
  if (tally !== rows.length) say(`I6: the tally is ${tally}, there are ${rows.length} rows`);
  const written = rows.findLast((row) => row.via === "kv")?.token;
  if (last !== written) say(`I6: the key says ${last}, the rows say ${written}`);
  const bumped = rows.filter((row) => row.via === "bump").length;
  if (bumps !== bumped) say(`I6: the number is ${bumps}, there are ${bumped} rows of it`);
}

/** I6: a unit is whole, in one piece, and one record of the log. */
function unitsAreWhole(actor: ActorShown, commits: number, say: (what: string) => void): void {
  const units = new Map<string, ActorRow[]>();
  for (const row of actor.rows) units.set(row.unit, [...(units.get(row.unit) ?? []), row]);
  for (const [unit, rows] of units) {
    const [first] = rows as [ActorRow];
    if (rows.length !== first.size) say(`I6: unit ${unit} has ${rows.length} of its ${first.size} rows`);
    if ((rows.at(-1) as ActorRow).seq - first.seq !== rows.length - 1) say(`I6: others stand between unit ${unit}`);
  }
  if (units.size !== commits) say(`I6: ${units.size} units, the log holds ${commits} commits`);
}

/** I5: the rows are numbered, were sent to this cell, and each stands after what it was written after. */
function rowsWereSent(
  actor: ActorShown,
  story: Story,
  there: ReadonlySet<string>,
  old: ReadonlySet<string>,
  covered: boolean,
  say: (what: string) => void,
): void {
  for (const [i, { seq, token, cause }] of actor.rows.entries()) {
    if (seq !== i + 1) say(`I5: row ${i + 1} has the number ${seq}`);
    if (story.never.has(token)) say(`I6: ${token} stands at ${seq}, but is always taken back`);
    if (covered && story.isErased(token, old.has(token))) say(`I5: ${token} was deleted and stands at ${seq}`);
    if (old.has(token)) continue;
    if (!story.sent.has(token) || cellOf(token) !== actor.cell) say(`I5: ${token} at ${seq} was not sent here`);
    if (cause !== null && !there.has(cause) && !story.mayBeErased(cause)) {
      say(`I5: ${token} at ${seq} is there, but not ${cause}, which it was written after`);
    }
  }
}

/** I5: what was shown once stays, in its place; or all of it is deleted. */
function pastIsKept(actor: ActorShown, past: readonly ActorRow[], story: Story, say: (what: string) => void): void {
  const [first] = past;
  if (first === undefined) return;
  const kept = actor.rows.some((row) => row.token === first.token);
  if (!kept && story.mayBeErased(first.token)) return;
  for (const [i, { token }] of past.entries()) {
    const now = actor.rows[i]?.token;
    if (now !== token) return say(`I5: row ${i + 1} was ${token} and is now ${now ?? "gone"}`);
  }
}
