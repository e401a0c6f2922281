// The invariants of the design that one node can break, as checks over what was observed from outside.
//
// Rule: a check is a pure function from observations (what a client was told, what a recovered node shows, what the log
// holds) to sentences, one for each violation; no sentence means that nothing wrong was seen. Nothing of the code that is
// checked is asked for its opinion, and each check is tried on histories that break it.
// How a client sees transactions: every write appends one entry of several rows under a token that is used once, and
// raises the counter of its cell. So a lost, doubled, torn or reordered commit shows in what the cell lists.

import type { Durability, Epoch, LogPlace, RunNumber, Slot, Txid } from "../types.ts";

/** What a client knows of one entry that it asked a cell to write. */
export interface Write {
  /** Address of the cell. */
  readonly cell: string;
  /** Used for one entry, over all cells and all time. */
  readonly token: string;
  /** Rows that the entry has: all of them or none. Count. */
  readonly rows: number;
  /** What an acknowledgement of it promises. */
  readonly level: Durability;
  /** `refused`: its verb threw. `unknown`: nothing was heard. */
  readonly outcome: "acknowledged" | "refused" | "unknown";
  /** Its number in the cell's list, if an acknowledgement said so. From 1. */
  readonly seq: number | undefined;
  /** The token of an entry, of any cell, that was committed before this one was begun. */
  readonly after: string | undefined;
}

/** One row that a cell shows. */
export interface ShownRow {
  /** Number of the entry in the list, from 1. */
  readonly seq: number;
  /** Number of the row in its entry, from 1. */
  readonly part: number;
  readonly token: string;
}

/** What a node shows of one cell after it recovered. */
export interface Shown {
  readonly cell: string;
  /** Counts the entries, raised in the transaction of each. */
  readonly counter: number;
  /** By seq, then part. */
  readonly rows: readonly ShownRow[];
  /** What else is wrong with its content, in sentences: SQLite's integrity check, checksums of values. */
  readonly wrong: readonly string[];
}

/** What happened between the writes and the look: a clean stop, the death of the process, a loss of power, of the disk. */
export type Fault = "stop" | "kill" | "power" | "disk-lost";

const SURVIVES: Readonly<Record<Durability, readonly Fault[]>> = {
  memory: ["stop"],
  disk: ["stop", "kill", "power"],
  bucket: ["stop", "kill", "power", "disk-lost"],
};

/** I2: an acknowledged write survives every fault that its level covers, and it is there once. */
export function acknowledgedSurvive(writes: readonly Write[], shown: readonly Shown[], fault: Fault): string[] {
  const found = entriesByToken(shown);
  const wrong: string[] = [];
  for (const write of writes) {
    const entries = found.get(write.token) ?? [];
    if (entries.length > 1) {
      wrong.push(
        `I2: ${write.token} of ${write.cell} stands ${entries.length} times: ${entries.map(place).join(", ")}`,
      );
    }
    if (write.outcome !== "acknowledged" || !SURVIVES[write.level].includes(fault)) continue;
    const entry = entries[0];
    if (entry === undefined) {
      wrong.push(`I2: ${write.token} was acknowledged by ${write.cell} at ${write.level} and is gone after a ${fault}`);
    } else if (entry.cell !== write.cell || (write.seq !== undefined && entry.seq !== write.seq)) {
      wrong.push(`I2: ${write.token} was acknowledged as ${place(write)} and stands at ${place(entry)}`);
    }
  }
  return wrong;
}

/** One record of the log, in the order of the log. */
export interface LoggedRecord {
  readonly run: RunNumber;
  readonly place: LogPlace;
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly txid: Txid;
  /** For a claim: what it says of the past, and whose it says that it is. */
  readonly claim: { readonly previousEpoch: Epoch; readonly run: RunNumber } | undefined;
  readonly cells: readonly LoggedCell[];
}

/** One cell of a record. */
export interface LoggedCell {
  readonly address: string;
  /** Place of the cell's record before; 0 = none. */
  readonly previous: LogPlace;
  /** The record says that the cell begins to exist, or that it ends. */
  readonly created: boolean;
  readonly deleted: boolean;
}

interface SlotPast {
  epoch: number;
  txid: number;
  /** The run of the last claim. */
  run: number;
}

/** I3: epochs rise with every claim, txids by one with every commit of a slot; a cell's records form one chain. */
export function sequencesRise(records: Iterable<LoggedRecord>): string[] {
  const wrong: string[] = [];
  const slots = new Map<number, SlotPast>();
  const cells = new Map<string, number>();
  let last = 0;
  for (const record of records) {
    const say = (what: string): void =>
      void wrong.push(`I3: slot ${record.slot} at ${record.epoch}-${record.txid} of run ${record.run}: ${what}`);
    if (record.place <= last) say(`its place ${record.place} is not behind ${last}`);
    last = record.place;
    const past = slots.get(record.slot) ?? { epoch: 0, txid: 0, run: 0 };
    slots.set(record.slot, record.claim === undefined ? checkCommit(record, past, say) : checkClaim(record, past, say));
    for (const cell of record.cells) {
      const before = cells.get(cell.address) ?? 0;
      if (cell.previous !== before) say(`${cell.address} names ${cell.previous} as its record before; it is ${before}`);
      if (cell.created !== (before === 0)) say(`${cell.address} is created ${cell.created ? "again" : "by no record"}`);
      cells.set(cell.address, cell.deleted ? 0 : record.place);
    }
  }
  return wrong;
}

function checkClaim(record: LoggedRecord, past: SlotPast, say: (what: string) => void): SlotPast {
  const { claim, epoch, txid, run } = record;
  if (epoch <= past.epoch) say(`a claim of epoch ${epoch} after epoch ${past.epoch}`);
  if (claim?.previousEpoch !== past.epoch) say(`a claim after epoch ${claim?.previousEpoch}; it was ${past.epoch}`);
  if (txid !== past.txid) say(`a claim after txid ${txid}; it was ${past.txid}`);
  if (claim?.run !== run) say(`a claim by run ${claim?.run} in the log of run ${run}`);
  if (run <= past.run) say(`a second claim by run ${run}, the last one was by ${past.run}`);
  return { epoch, txid, run };
}

function checkCommit(record: LoggedRecord, past: SlotPast, say: (what: string) => void): SlotPast {
  const { epoch, txid, run } = record;
  if (epoch !== past.epoch || run !== past.run) say(`no claim by this run; epoch ${past.epoch} is of run ${past.run}`);
  if (txid !== past.txid + 1) say(`txid ${txid} follows ${past.txid}`);
  return { epoch: Math.max(epoch, past.epoch), txid, run: past.run };
}

/**
 * I5: what a restored cell shows is a prefix of its history: all that it showed before these writes, then entries that
 * were really sent, each after what caused it. `before`: what was shown when the last fault had been recovered from.
 */
export function restoredIsPrefix(
  before: readonly Shown[],
  writes: readonly Write[],
  shown: readonly Shown[],
): string[] {
  const wrong: string[] = [];
  const sent = new Map(writes.map((write) => [write.token, write]));
  const there = entriesByToken(shown);
  const cells = new Map(shown.map((cell) => [cell.cell, cell]));
  const old = new Map(before.map((cell) => [cell.cell, entriesOf(cell)]));
  for (const [cell, entries] of old) {
    const now = cells.get(cell);
    if (now === undefined && entries.length > 0)
      wrong.push(`I5: ${cell} had ${entries.length} entries and is not shown`);
  }
  for (const cell of shown) {
    const past = old.get(cell.cell) ?? [];
    const now = entriesOf(cell);
    for (let i = 0; i < past.length; i++) {
      const [was, is] = [past[i] as Entry, now[i]];
      if (is?.token === was.token && is.seq === was.seq) continue;
      wrong.push(
        `I5: entry ${was.seq} of ${cell.cell} was ${was.token} and is now ${is === undefined ? "gone" : is.token}`,
      );
    }
    for (const entry of now.slice(past.length)) {
      const write = sent.get(entry.token);
      if (write?.cell !== cell.cell) {
        wrong.push(
          `I5: ${place(entry)} shows ${entry.token}, which ${write ? `was sent to ${write.cell}` : "was not sent"}`,
        );
      } else if (write.seq !== undefined && write.seq !== entry.seq) {
        wrong.push(`I5: ${entry.token} was acknowledged as ${place(write)} and stands at ${place(entry)}`);
      } else if (write.after !== undefined && !there.has(write.after)) {
        wrong.push(`I5: ${place(entry)} shows ${entry.token}, but not its cause ${write.after}`);
      }
    }
  }
  return wrong;
}

/**
 * I5 by another way: a restored cell shows what the log holds and nothing else, one commit for each entry. `records`: the
 * log as it was when the last fault had been recovered from.
 */
export function shownIsLogged(shown: readonly Shown[], records: Iterable<LoggedRecord>): string[] {
  const commits = new Map<string, number>();
  for (const record of records) {
    for (const { address } of record.cells) commits.set(address, (commits.get(address) ?? 0) + 1);
  }
  const wrong: string[] = [];
  for (const { cell, counter } of shown) {
    const logged = commits.get(cell) ?? 0;
    if (counter !== logged) wrong.push(`I5: ${cell} shows ${counter} entries, the log holds ${logged} commits of it`);
  }
  return wrong;
}

/** I6: a commit is whole or absent: all rows of an entry, the counter with them; and what threw left no trace. */
export function recordsAreWhole(writes: readonly Write[], shown: readonly Shown[]): string[] {
  const wrong: string[] = [];
  const sent = new Map(writes.map((write) => [write.token, write]));
  for (const cell of shown) {
    for (const sentence of cell.wrong) wrong.push(`I6: ${cell.cell}: ${sentence}`);
    const entries = entriesOf(cell);
    if (entries.length !== cell.counter) {
      wrong.push(`I6: ${cell.cell} counts ${cell.counter} entries and lists ${entries.length}`);
    }
    for (const [i, entry] of entries.entries()) {
      const write = sent.get(entry.token);
      if (entry.seq !== i + 1) wrong.push(`I6: the list of ${cell.cell} has ${place(entry)} as its entry ${i + 1}`);
      if (write === undefined) continue;
      if (entry.rows !== write.rows)
        wrong.push(`I6: ${entry.token} has ${entry.rows} of its ${write.rows} rows at ${place(entry)}`);
      if (write.outcome === "refused")
        wrong.push(`I6: ${entry.token} was refused by ${write.cell} and stands at ${place(entry)}`);
    }
  }
  return wrong;
}

/** What was seen of one alarm, or of one scheduled call: of one time for which it was set. */
export interface AlarmStory {
  readonly cell: string;
  /** Used for one alarm, over all cells and all time. */
  readonly token: string;
  /** In ms since 1970, as all times here. */
  readonly due: number;
  /** It was acknowledged that it is armed. */
  readonly armed: boolean;
  /** When it was acknowledged that it is cancelled or replaced; Infinity: that was asked for, and nothing was heard. */
  readonly cancelled: number | undefined;
  /** When it ran: the beginning of each run. */
  readonly fired: readonly number[];
}

/** I8: an armed alarm fires at least once, and never before its time. `until`: what was due then had time to run. */
export function alarmsFire(alarms: readonly AlarmStory[], until: number): string[] {
  const wrong: string[] = [];
  for (const { cell, token, due, armed, cancelled, fired } of alarms) {
    const early = fired.find((at) => at < due);
    if (early !== undefined) wrong.push(`I8: ${token} of ${cell} fired ${due - early} ms before its time`);
    if (armed && cancelled === undefined && due <= until && fired.length === 0) {
      wrong.push(`I8: ${token} of ${cell} was armed for ${due} and has not fired by ${until}`);
    }
    const late = fired.find((at) => cancelled !== undefined && at > cancelled);
    if (late !== undefined) wrong.push(`I8: ${token} of ${cell} was cancelled at ${cancelled} and fired at ${late}`);
  }
  return wrong;
}

interface Entry {
  readonly cell: string;
  readonly seq: number;
  readonly token: string;
  rows: number;
}

/** The entries of a cell: runs of rows with one seq and one token. */
function entriesOf(shown: Shown): Entry[] {
  const entries: Entry[] = [];
  for (const row of shown.rows) {
    const last = entries.at(-1);
    if (last !== undefined && last.seq === row.seq && last.token === row.token && row.part === last.rows + 1)
      last.rows += 1;
    else entries.push({ cell: shown.cell, seq: row.seq, token: row.token, rows: 1 });
  }
  return entries;
}

function entriesByToken(shown: readonly Shown[]): Map<string, Entry[]> {
  const found = new Map<string, Entry[]>();
  for (const cell of shown) {
    for (const entry of entriesOf(cell)) {
      const known = found.get(entry.token);
      if (known === undefined) found.set(entry.token, [entry]);
      else known.push(entry);
    }
  }
  return found;
}

function place(at: { readonly cell: string; readonly seq: number | undefined }): string {
  return `${at.cell} ${at.seq ?? "?"}`;
}
