// The log as a reader from outside sees it: the records of runs that have ended.
//
// Rule: a run's files do not change once a later run was recovered, so each is read once. Damage in them then is a finding:
// what was torn was cut off by the start that settled them.

import path from "node:path";
import type { LoggedRecord } from "../core/invariants.ts";
import { listLogFiles } from "../log/files.ts";
import { scanLogFile } from "../log/scan.ts";

/** The records of a data directory, read run by run. */
export class Logbook {
  readonly records: LoggedRecord[] = [];
  /** Files read. Count. */
  files = 0;
  readonly #folder: string;
  #through = 0;

  constructor(directory: string) {
    this.#folder = path.join(directory, "log");
  }

  /** Reads the files of the runs before `run` that were not read yet. Returns what is wrong with them. */
  readBefore(run: number): string[] {
    const wrong: string[] = [];
    let end: { run: number; lsn: number } | undefined;
    for (const entry of listLogFiles(this.#folder)) {
      if (entry.run <= this.#through || entry.run >= run) continue;
      this.files += 1;
      const expected = end?.run === entry.run ? end.lsn : undefined;
      const scan = scanLogFile(entry, expected, (record, place) => {
        const { slot, epoch, txid } = record;
        const claim = record.type === "claim" ? { previousEpoch: record.previousEpoch, run: record.run } : undefined;
        const changes = record.type === "commit" ? record.changes : [];
        const cells = (record.type === "commit" ? record.cells : []).map(({ address, previous }) => {
          const says = (what: string): boolean =>
            changes.some((change) => change.what === what && change.address === address);
          return { address, previous, created: says("created"), deleted: says("deleted") };
        });
        this.records.push({ run: entry.run, place, slot, epoch, txid, claim, cells });
      });
      end = { run: entry.run, lsn: scan.endLsn };
      if (scan.damage !== undefined)
        wrong.push(`log: ${entry.path} is damaged after it was settled: ${scan.damage.reason}`);
    }
    this.#through = run - 1;
    return wrong;
  }
}
