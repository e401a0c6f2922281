// The tail of a log, changed on its disk: what is handed out is what was written, from the beginning on and without gaps,
// until the damage is said. What was handed out has left for the bucket: nothing takes it back.

import fc from "fast-check";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { logFilePath, runFolder } from "../../src/log/files.ts";
import { LogTail } from "../../src/log/tail.ts";
import type { TailRecord } from "../../src/log/tailRecords.ts";
import type { Lsn } from "../../src/types.ts";
import { anyLog, changed, FILE, type LogCase, LSN, RUN, type Written, writeLog } from "./logFiles.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

/** Reads on up to `through`, in pieces of so many bytes; ends with no records, or throws. */
export type ReadTail = (tail: LogTail, through: Lsn, maxBytes: number) => TailRecord[];

interface TailCase {
  readonly log: LogCase;
  readonly maxBytes: number;
}

const read: ReadTail = (tail, through, maxBytes) => tail.read(through, maxBytes).list();

export function tailTarget(reader: ReadTail = read): Target {
  return target("tail", 600, (): Entrance<TailCase> => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-fuzz-"));
    fs.mkdirSync(runFolder(folder, RUN));
    const file = logFilePath(folder, RUN, FILE);
    return {
      input: fc.record({ log: anyLog, maxBytes: fc.constantFrom(1, 2000, 1e9) }),
      check({ log, maxBytes }) {
        const written = writeLog(log);
        const bytes = changed(log, written);
        fs.writeFileSync(file, bytes);
        judge(new LogTail(folder, RUN, LSN as Lsn), bytes, written, maxBytes, reader);
      },
      close: () => fs.rmSync(folder, { recursive: true, force: true }),
    };
  });
}

function judge(tail: LogTail, bytes: Buffer, written: Written, maxBytes: number, reader: ReadTail): void {
  const last = written.records.at(-1);
  const end = last === undefined ? 64 : last.at + last.bytes.length;
  let next = 0;
  for (let ended = false; !ended;) {
    const got = attempt(["LOG_DAMAGED"], () => reader(tail, (LSN + end - 64) as Lsn, maxBytes));
    if ("value" in got) {
      for (const one of got.value) {
        const wanted = written.records[next++];
        if (wanted === undefined || !one.bytes.equals(wanted.bytes))
          throw new Error(`record ${next} was never written`);
        if (one.lsn !== LSN + wanted.at + wanted.bytes.length - 64)
          throw new Error(`record ${next} ends at ${one.lsn}`);
      }
    } else if (bytes.subarray(0, end).equals(written.bytes.subarray(0, end))) {
      throw new Error("a right log is damaged");
    }
    ended = !("value" in got) || got.value.length === 0;
    if (ended && "value" in got && next < written.records.length) throw new Error(`${next} records are said to be all`);
  }
  tail.close();
}
