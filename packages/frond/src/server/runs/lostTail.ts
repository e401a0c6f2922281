// The end of a run's log that was sealed by somebody else before it was in the bucket.
//
// Rule: nothing is lost in silence. What stands behind the seal is copied to lost+found, log file by log file, with a report that
// a person can read, before the files are cut. What the cells were is then what the bucket says.

import fs from "node:fs";
import path from "node:path";
import { listLogFiles } from "../../log/files.ts";
import { scanLogFile } from "../../log/scan.ts";
import { type LogPlace, placeOffset } from "../../types.ts";
import type { LostTail } from "../persist/bucketTalk.ts";
import { syncFolder, writeDurably } from "../durably.ts";
import type { Report } from "../cells/settle.ts";

/** A commit that is lost, as far as its head tells. */
interface LostCommit {
  readonly cells: readonly string[];
  readonly time: string;
  readonly position: string;
  readonly pages: number;
}

/** Keeps what is lost aside, and cuts it off. */
export function keepLostTails(directory: string, lost: readonly LostTail[]): Report[] {
  const reports: Report[] = [];
  for (const tail of lost) {
    for (const entry of listLogFiles(path.join(directory, "log"))) {
      if (entry.run !== tail.run) continue;
      const commits: LostCommit[] = [];
      let cut: LogPlace | undefined;
      const scan = scanLogFile(entry, undefined, (record, place, lsn) => {
        if (lsn < tail.from) return;
        cut ??= place;
        if (record.type !== "commit") return;
        commits.push({
          cells: record.cells.map((cell) => cell.address),
          time: new Date(record.time).toISOString(),
          position: `${record.epoch}-${record.txid}`,
          pages: record.cells.reduce((sum, cell) => sum + cell.pages.count, 0),
        });
      });
      if (cut === undefined) continue;
      const from = placeOffset(cut);
      const text = `another node had ended the log of run ${tail.run} before its last ${commits.length} commits were in the bucket: they are lost to their cells, and kept in lost+found`;
      keep(directory, entry.path, tail.run, from, scan.validBytes, { text, commits });
      reports.push({ kind: "damage", file: entry.path, offset: from, text });
    }
  }
  return reports;
}

function keep(directory: string, file: string, run: number, from: number, to: number, facts: object): void {
  const folder = path.join(directory, "lost+found");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = `run-${run}-${path.basename(file, ".log")}-behind-the-seal`;
  const bytes = fs.readFileSync(file).subarray(from, to);
  const report = { ...facts, log: file, from, bytes: bytes.length, run, foundAt: new Date().toISOString() };
  writeDurably(path.join(folder, `${name}.bin`), bytes);
  writeDurably(path.join(folder, `${name}.json`), Buffer.from(`${JSON.stringify(report, null, 2)}\n`));
  syncFolder(directory);
  fs.rmSync(file);
  syncFolder(path.dirname(file));
}
