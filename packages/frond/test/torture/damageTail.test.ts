// The end of the log, damaged in every way that a byte allows: cut at each byte of its last two records, and each byte of
// the last two batches and of the file's header changed.
//
// Each time a start must say where the damage is, keep every record before it, put the rest into lost+found beside a
// readable report, and serve what the kept records say.

import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { FILE_HEADER_BYTES } from "../../src/codec/logfile.ts";
import { recover } from "../../src/server/cells/recover.ts";
import type { Report } from "../../src/server/cells/settle.ts";
import { Catalog } from "../../src/store/catalog.ts";
import { temporaryDirectory } from "../cell/nodes.ts";
import {
  image,
  lostAndFound,
  makeSteps,
  openTallies,
  pathOfFile,
  type Stand,
  standsOf,
  type Step,
  valuesBefore,
  valuesInLog,
} from "./tallies.ts";

const STEPS: readonly (Step | readonly Step[])[] = [
  { name: "a", n: 1 },
  { name: "b", n: 2 },
  { name: "c", n: 3 },
  { name: "a", n: 4 },
  { name: "b", n: 5 },
  [
    { name: "c", n: 6 },
    { name: "a", n: 7 },
  ],
  { name: "b", n: 8 },
];

/** A directory as a killed process, and as a clean stop, left it. */
interface Finished {
  readonly directory: string;
  readonly stands: readonly Stand[];
  readonly last: Stand;
  readonly log: Buffer;
}

// Thousands of starts, and each waits for the disk many times: in memory where the system has such a folder.
const MEMORY = fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Makes one: as a kill leaves it, or as a clean stop does. */
async function finish(how: "killed" | "stopped"): Promise<Finished> {
  const opened = await openTallies(temporaryDirectory(), "boot-1");
  await makeSteps(opened, STEPS);
  if (how === "stopped") await opened.node.stop();
  const directory = image(opened.directory);
  const stands = standsOf(directory, STEPS.flat());
  const last = stands.at(-1) as Stand;
  return { directory, stands, last, log: fs.readFileSync(pathOfFile(directory, last.file)) };
}

/** Recovers the directory with `log` in place of its last log file. Puts everything back. */
function recoverWith(of: Finished, log: Buffer): { reports: readonly Report[]; directory: string; done: () => void } {
  const directory = fs.mkdtempSync(path.join(MEMORY, "frond-cut-"));
  fs.cpSync(path.join(of.directory, "log"), path.join(directory, "log"), { recursive: true });
  for (const name of ["catalog.db", "catalog.db-wal"]) {
    if (fs.existsSync(path.join(of.directory, name)))
      fs.copyFileSync(path.join(of.directory, name), path.join(directory, name));
  }
  fs.writeFileSync(pathOfFile(directory, of.last.file), log);
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  const { reports } = recover(directory, catalog, "boot-1");
  catalog.close();
  return { reports, directory, done: () => fs.rmSync(directory, { recursive: true }) };
}

/** Recovers with the changed log and looks at everything. `end`: the byte up to which the log is to be kept. */
function check(of: Finished, log: Buffer, end: number, kind: "torn" | "damage" | undefined): void {
  const { reports, directory, done } = recoverWith(of, log);
  const file = pathOfFileOrNot(directory, of.last.file);
  expect(reports.map((report) => [report.kind, path.basename(report.file), report.offset])).toEqual(
    kind === undefined ? [] : [[kind, path.basename(pathOfFile(of.directory, of.last.file)), end]],
  );
  expect(valuesInLog(directory)).toEqual(valuesBefore(of.stands, of.last.file, end));
  if (end > 0) expect(fs.readFileSync(file as string)).toHaveLength(end);
  const found = lostAndFound(directory);
  const lost = log.subarray(end);
  if (kind !== undefined && lost.length > 0) {
    expect(found).toHaveLength(1);
    expect(found[0]?.bytes.equals(lost)).toBe(true);
    expect(found[0]?.report).toMatchObject({ kind, offset: end, bytes: lost.length });
    expect(found[0]?.report["text"]).toMatch(/ends there/);
  }
  // Whoever reads the log again finds it whole: nothing is reported twice.
  fs.rmSync(path.join(directory, "catalog.db"));
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  expect(recover(directory, catalog, "boot-1").reports).toEqual([]);
  catalog.close();
  expect(valuesInLog(directory)).toEqual(valuesBefore(of.stands, of.last.file, end));
  done();
}

function pathOfFileOrNot(directory: string, file: number): string | undefined {
  try {
    return pathOfFile(directory, file);
  } catch {
    return undefined;
  }
}

/** The end of the last whole record at or before `offset`, in the batches that can be read up to there. */
function keptUpTo(stands: readonly Stand[], offset: number): number {
  const { file } = stands.at(-1) as Stand;
  const kept = stands.findLast((stand) => stand.file === file && stand.end <= offset);
  return kept?.end ?? FILE_HEADER_BYTES;
}

describe("the last log file is cut", () => {
  test("at every byte of its last two records, after a kill", { timeout: 240_000 }, async () => {
    const killed = await finish("killed");
    const [second, last] = killed.stands.slice(-2) as [Stand, Stand];
    for (let at = second.offset; at <= last.end; at++) {
      const end = keptUpTo(killed.stands, at);
      // A cut right behind a batch leaves a log like any other.
      const seen = killed.stands.some((stand) => stand.end === at && stand.endsBatch) ? undefined : "torn";
      check(killed, killed.log.subarray(0, at), end, seen);
    }
  });

  test("after a clean stop: then every cut is known to have lost something", { timeout: 240_000 }, async () => {
    const stopped = await finish("stopped");
    const [second, last] = stopped.stands.slice(-2) as [Stand, Stand];
    for (let at = second.offset; at < last.end; at += at > last.end - 60 || at < second.offset + 60 ? 1 : 17) {
      check(stopped, stopped.log.subarray(0, at), keptUpTo(stopped.stands, at), "damage");
    }
    check(stopped, stopped.log.subarray(0, last.end), last.end, undefined);
  });
});

describe("a byte is changed", () => {
  test("anywhere in the last two batches", { timeout: 240_000 }, async () => {
    const killed = await finish("killed");
    const last = killed.stands.at(-1) as Stand;
    const from = (killed.stands.at(-3) as Stand).batch;
    for (let at = from; at < last.end; at++) {
      const log = Buffer.from(killed.log);
      log[at] = (log[at] as number) ^ 0xff;
      // Behind a whole batch stands a witness: the next one tells what was durable before it.
      const witnessed = at < last.batch;
      check(killed, log, keptUpTo(killed.stands, at), witnessed ? "damage" : "torn");
    }
  });

  test("anywhere in the header of the file", { timeout: 240_000 }, async () => {
    const killed = await finish("killed");
    for (let at = 0; at < FILE_HEADER_BYTES; at++) {
      const log = Buffer.from(killed.log);
      log[at] = (log[at] as number) ^ 0x10;
      check(killed, log, 0, "damage");
    }
  });
});
