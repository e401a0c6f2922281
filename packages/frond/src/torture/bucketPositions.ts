// The logs in a bucket as a reader from outside sees them: which position each commit has, over all runs.
//
// Rule (I3): a position of a slot, (epoch, txid), is given once; also where the commit that had it was lost with its disk. Txids rise
// by one behind a claim, and an epoch is claimed once. Objects never change, so each is read once.

import { slotOf } from "../address.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { LOG_PREFIX, logKey, runOfKey } from "../bucket/objectKeys.ts";
import { readFooter, readHeader } from "../log/runObjects.ts";
import type { Address, Seq, Slot } from "../types.ts";

/** A commit that a disk has named as lost. */
export interface LostCommit {
  readonly cells: readonly string[];
  /** `epoch-txid`. */
  readonly position: string;
}

const SEQ = /\/(\d{10})$/;

/** See the head of the file. One per bucket. */
export class Positions {
  readonly #open: () => Promise<Bucket>;
  readonly #read = new Set<string>();
  /** The object that holds a position, and the one that holds the claim of an epoch; by slot. */
  readonly #commits = new Map<string, string>();
  readonly #claims = new Map<string, string>();
  /** Records that were read. Count. */
  records = 0;

  constructor(open: () => Promise<Bucket>) {
    this.#open = open;
  }

  /** Reads what is new. Returns what is wrong. */
  async check(lost: readonly LostCommit[]): Promise<string[]> {
    const wrong: string[] = [];
    const bucket = await this.#open();
    try {
      for (const key of await allKeys(bucket)) if (!this.#read.has(key)) await this.#readSegment(bucket, key, wrong);
    } finally {
      await bucket.close();
    }
    for (const { cells, position } of lost) {
      const [cell] = cells;
      if (cell === undefined) continue;
      const at = `${slotOf(cell as Address)}/${position}`;
      const by = this.#commits.get(at);
      if (by !== undefined) wrong.push(`I3: the position ${at} of a lost commit of ${cell} was given again, in ${by}`);
    }
    return wrong;
  }

  async #readSegment(bucket: Bucket, key: string, wrong: string[]): Promise<void> {
    const header = await readHeader(bucket, key);
    const footer = header?.kind === "segment" ? await readFooter(bucket, key) : undefined;
    this.#read.add(key);
    let last: { slot: Slot; epoch: number; txid: number } | undefined;
    for (const entry of footer?.entries ?? []) {
      const { type, slot, epoch, txid } = entry.head();
      this.records += 1;
      const [book, name] =
        type === "claim" ? [this.#claims, `${slot}/${epoch}`] : [this.#commits, `${slot}/${epoch}-${txid}`];
      const before = book.get(name);
      if (before !== undefined) wrong.push(`I3: ${type} ${name} stands in ${before} and in ${key}`);
      book.set(name, key);
      const goesOn = last?.slot === slot && last.epoch === epoch;
      if (goesOn && type === "commit" && txid !== (last?.txid as number) + 1) {
        wrong.push(`I3: txid ${txid} of slot ${slot} follows ${last?.txid} in ${key}`);
      }
      last = { slot, epoch, txid };
    }
  }
}

/** The keys of everything that is a number of a log. */
async function allKeys(bucket: Bucket): Promise<string[]> {
  const keys: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await bucket.list(LOG_PREFIX, after);
    for (const { key } of page) {
      const run = runOfKey(key);
      const seq = SEQ.exec(key)?.[1];
      if (run !== undefined && seq !== undefined && key === logKey(run, Number(seq) as Seq)) keys.push(key);
    }
    if (page.length < 1000) return keys;
    after = page.at(-1)?.key;
  }
}
