// What may be forgotten of the runs of a directory: nothing by which a start would believe more than before.

import { randomBytes, randomInt } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { doubtfulThrough } from "../../src/core/recovery.ts";
import { listLogFiles, listRuns, logFilePath } from "../../src/log/files.ts";
import { forgetOldRuns } from "../../src/server/runs/oldRuns.ts";
import { makeRunFolder } from "../../src/server/cells/recover.ts";
import { Catalog, type RunRow } from "../../src/store/catalog.ts";
import type { Epoch, RunNumber, Seq, Slot, Txid } from "../../src/types.ts";
import { temporaryDirectory } from "../cell/nodes.ts";

interface Life {
  readonly directory: string;
  readonly catalog: Catalog;
  readonly rows: readonly RunRow[];
  readonly own: RunNumber;
}

/** A directory with `runs` runs before its own, made of `boots` boots, the last of which goes on. */
function live(runs: number, boots: number, row: (i: number) => Partial<RunRow>): Life {
  const directory = temporaryDirectory();
  fs.mkdirSync(path.join(directory, "log"));
  const catalog = new Catalog(path.join(directory, "catalog.db"));
  const rows: RunRow[] = [];
  for (let i = 0; i <= runs; i++) {
    const boot = `boot ${Math.min(boots, 1 + Math.floor((i * boots) / runs))}`;
    const id = randomBytes(16).toString("hex");
    const facts = { boot, startedMs: i, ended: "unclean", synced: false, seal: 1 as Seq } as const;
    rows.push({ run: (i + 1) as RunNumber, id, ...facts, ...(i < runs ? row(i) : { ended: null, seal: 0 }) });
    catalog.putRun(rows.at(-1) as RunRow);
    makeRunFolder(path.join(directory, "log"), (i + 1) as RunNumber, id);
  }
  return { directory, catalog, rows, own: (runs + 1) as RunNumber };
}

test("files of cells that were not believed before are not believed after, in this boot and in any later one", () => {
  for (let round = 0; round < 40; round++) {
    const end = (): Partial<RunRow> => ({ ended: randomInt(2) === 0 ? "clean" : "unclean", synced: randomInt(3) > 0 });
    const { directory, catalog, rows, own } = live(12, randomInt(1, 4), end);
    forgetOldRuns(directory, catalog, own, []);
    const left = catalog.runs();
    catalog.close();
    expect(left.length).toBeLessThanOrEqual(4);
    for (const boot of [rows.at(-1)?.boot as string, "a later boot", ""]) {
      const of = (all: readonly RunRow[]): number =>
        doubtfulThrough(
          all.filter(({ run }) => run < own),
          boot,
        );
      expect(of(left)).toBe(of(rows));
    }
  }
});

test("runs whose log is not sealed, that slots were opened in, or that have log files stay, whole", () => {
  const { directory, catalog, rows, own } = live(6, 1, (i) => ({
    ended: "clean",
    synced: true,
    seal: (i === 1 ? 0 : 1) as Seq,
  }));
  const logFolder = path.join(directory, "log");
  catalog.putOpened({ slot: 7 as Slot, epoch: 1 as Epoch, txid: 0 as Txid }, 3 as RunNumber);
  fs.writeFileSync(logFilePath(logFolder, 4 as RunNumber, 9), "x");
  forgetOldRuns(directory, catalog, own, [rows[4]?.id as string]);
  expect(catalog.runs().map(({ run }) => run)).toEqual([2, 3, 4, 5, 6, 7]);
  expect(listRuns(logFolder)).toEqual([2, 4, 7]);
  catalog.close();
});

test("of many small log files of sealed runs the latest stay, and none that a start would read", () => {
  const { directory, catalog, own } = live(100, 1, () => ({ ended: "clean", synced: true }));
  const logFolder = path.join(directory, "log");
  for (let i = 1; i <= 100; i++) fs.writeFileSync(logFilePath(logFolder, i as RunNumber, i), "x");
  catalog.cover(20);
  forgetOldRuns(directory, catalog, own, []);
  expect(listLogFiles(logFolder)[0]?.number).toBe(20);
  catalog.cover(101);
  forgetOldRuns(directory, catalog, own, []);
  const numbers = listLogFiles(logFolder).map(({ number }) => number);
  expect([numbers[0], numbers.length]).toEqual([37, 64]);
  expect(catalog.runs().length).toBe(65);
  catalog.close();
});
