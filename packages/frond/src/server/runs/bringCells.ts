// What a directory held before it had a bucket, when its log is damaged: its cells go into the bucket as they are.
//
// Rules.
// - A cell's file is believed as a start without a bucket believes it (0007): else it is made anew from the log, where that can
//   be read. What cannot be read at all is told, and stays a cell that is damaged.
// - The damaged log files are kept in lost+found, with a report: from now on nobody needs the log of this disk, and it may go.
// - Slot by slot, and nothing is written down but in the bucket: what was interrupted is done again.

import fs from "node:fs";
import path from "node:path";
import { isFrondError } from "../../errors.ts";
import type { LogDamage } from "../../log/scan.ts";
import type { Catalog, CellEntry } from "../../store/catalog.ts";
import { CellDatabase } from "../../store/database.ts";
import { cellPath } from "../../store/paths.ts";
import type { Slot } from "../../types.ts";
import type { SlotBrought } from "../persist/bucketTalk.ts";
import { CellFiles } from "../cells/cellFiles.ts";
import { syncFile, syncFolder, writeDurably } from "../durably.ts";
import type { Keeper } from "../persist/keeper.ts";
import { LogIndex } from "../persist/logIndex.ts";
import type { NodeLog } from "../nodeOptions.ts";
import type { Recovered } from "../cells/recover.ts";
import type { Report } from "../cells/settle.ts";

/** What cells are brought with. */
export interface Bringing {
  readonly directory: string;
  readonly catalog: Catalog;
  readonly recovered: Pick<Recovered, "run" | "doubtfulThrough">;
  readonly keeper: Keeper;
  readonly log: NodeLog;
}

/** Brings every slot of which the bucket has no record, and takes it. Tells how many there were. */
export async function bringCells({ directory, catalog, recovered, keeper, log }: Bringing): Promise<number> {
  const recorded = new Set<Slot>(keeper.started.slots);
  const missing = new Map(
    catalog
      .slots()
      .filter(({ slot, txid }) => txid > 0 && !recorded.has(slot))
      .map((row) => [row.slot, row]),
  );
  // As nearly always: the rows of all cells are not read for nothing.
  if (missing.size === 0) return 0;
  const logIndex = new LogIndex(path.join(directory, "log"));
  const files = new CellFiles({
    directory,
    run: recovered.run,
    doubtfulThrough: recovered.doubtfulThrough,
    pathOfLogFile: (file) => logIndex.pathOf(file),
    rebuilt: (entry) => catalog.put(entry),
    warn: log.warn,
    fetch: undefined,
  });
  let brought = 0;
  for (const { slot, entries } of catalog.bySlot()) {
    const row = missing.get(slot);
    if (row === undefined) continue;
    const cells: SlotBrought["cells"] = entries.map((entry) => ({
      entry,
      file: wholeFile(files, directory, entry, log),
    }));
    await keeper.ask("bringSlot", { ...row, cells });
    await keeper.open(slot);
    brought += 1;
  }
  return brought;
}

/** The file of a cell with all that the log says, and no WAL beside it; undefined: it cannot be read, or was deleted. */
function wholeFile(files: CellFiles, directory: string, entry: CellEntry, log: NodeLog): string | undefined {
  if (entry.deleted) return undefined;
  try {
    const opened = files.open(entry);
    // Without a bucket nothing is waited for.
    if (!(opened instanceof CellDatabase)) return undefined;
    opened.checkpoint();
    opened.close();
    return cellPath(path.join(directory, "cells"), entry.slot, entry.address);
  } catch (error) {
    if (!isFrondError(error, "CELL_DAMAGED")) throw error;
    log.error(
      { address: entry.address, err: error },
      `${entry.address} cannot be read, here or in the bucket: it is damaged`,
    );
    return undefined;
  }
}

/** Keeps damaged log files aside, and tells what is damaged; files of which it was told before are left out. */
export function keepDamaged(directory: string, damages: readonly LogDamage[], told: readonly Report[]): Report[] {
  const reports: Report[] = [];
  const folder = path.join(directory, "lost+found");
  for (const { file, offset, reason } of damages) {
    const text = `${reason}. The log of this directory is not taken into the bucket: its cells are, as they are now`;
    if (!told.some((report) => report.file === file)) reports.push({ kind: "damage", file, offset, text });
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const name = `log-file-${path.basename(file, ".log")}-damaged`;
    const kept = path.join(folder, `${name}.bin`);
    if (!fs.existsSync(kept) && fs.existsSync(file)) keepCopy(file, kept);
    const facts = { kind: "damage", log: file, offset, text, foundAt: new Date().toISOString() };
    writeDurably(path.join(folder, `${name}.json`), Buffer.from(`${JSON.stringify(facts, null, 2)}\n`));
  }
  if (damages.length > 0) syncFolder(folder);
  return reports;
}

/** Whole or not at all: the file itself may go once the bucket has the cells. */
function keepCopy(file: string, kept: string): void {
  fs.copyFileSync(file, `${kept}.new`);
  syncFile(`${kept}.new`);
  fs.renameSync(`${kept}.new`, kept);
}
