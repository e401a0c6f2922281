// Going back: a cell as it was at a moment, into a file or into the cell, for the operator.
//
// Rule: what is restored comes out of the bucket, whatever is on this disk, and is looked through before anybody gets it; and a cell
// that is given an earlier content stays restorable as it was before, like after any other commit.

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { rootAddress } from "../../address.ts";
import { FrondError } from "../../errors.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { removeCell } from "../../store/restore.ts";
import type { Address, Epoch, Txid } from "../../types.ts";
import { askContent } from "./askContent.ts";
import type { TableRows } from "./content.ts";
import type { Node } from "../node.ts";
import type {
  CellCommit,
  HistoryQuery,
  Moment,
  NodeControl,
  Restored,
  RestoredCell,
  RestorePreview,
} from "../operator/nodeControl.ts";
import { PastDoor } from "../persist/pastDoor.ts";
import { missingFiles, replaceCell, targetOf } from "./replaceCell.ts";
import type { HistoryLimit } from "../slots/slotIndex.ts";

/** What the operator may ask of a node about the past of cells. */
export type RestoreTools = Pick<NodeControl, "history" | "restoreTo" | "restoreInto" | "previewRestore">;

export function restoreToolsOf(node: Node): RestoreTools {
  return {
    history: async (address, query) => historyOf(node, address, query),
    restoreTo: (address, at, file) => restoreTo(node, address, at, file),
    restoreInto: (address, at) => restoreInto(node, address, at),
    previewRestore: (address, at) => preview(node, address, at),
  };
}

/** A position, as it comes from outside. */
export type Place = { readonly epoch: number; readonly txid: number };

/** The end of what there is. */
const NOW: HistoryLimit = { time: Number.MAX_SAFE_INTEGER };

async function historyOf(node: Node, address: string, query: HistoryQuery): Promise<CellCommit[]> {
  return pastOf(node).history(addressOf(node, address), query);
}

async function restoreTo(node: Node, address: string, at: Moment, file: string): Promise<Restored> {
  try {
    const entry = await pastOf(node).restore(addressOf(node, address), limitOf(at), file);
    await askContent("plain", file);
    return { ...describe(entry), bytes: fs.statSync(file).size };
  } catch (error) {
    removeCell(file);
    throw error;
  }
}

/** See {@link NodeControl.restoreInto}. `ifAt`: only if the cell stands there, else CELL_CHANGED is thrown. */
export async function restoreInto(node: Node, address: string, at: Moment, ifAt?: Place): Promise<RestoredCell> {
  const target = targetOf(node, address);
  return withFile(node, async (file) => {
    const entry = await pastOf(node).restore(addressOf(node, address), limitOf(at), file);
    const facts = await askContent("check", file);
    const missing = await missingFiles(node, address, facts);
    const { before, now } = await replaceCell(node, target, file, facts, true, ifAt);
    return { ...describe(entry), now, missingFiles: missing, ...(before && { before }) };
  });
}

async function preview(node: Node, name: string, at: Moment): Promise<RestorePreview> {
  const address = addressOf(node, name);
  const { entry, tables: then } = await countsAt(node, address, limitOf(at));
  const now = await countsAt(node, address, NOW).catch((error: unknown) => {
    if (error instanceof FrondError && error.code === "CELL_MISSING") return { tables: [] };
    throw error;
  });
  return { ...describe(entry), tables: compare(then, now.tables) };
}

function countsAt(
  node: Node,
  address: Address,
  limit: HistoryLimit,
): Promise<{ readonly entry: CellEntry; readonly tables: TableRows[] }> {
  return withFile(node, async (file) => {
    const entry = await pastOf(node).restore(address, limit, file);
    return { entry, tables: await askContent("count", file) };
  });
}

function compare(then: readonly TableRows[], now: readonly TableRows[]): RestorePreview["tables"] {
  const names = [...new Set([...then, ...now].map(({ table }) => table))].sort();
  const of = (rows: readonly TableRows[], name: string): number => rows.find(({ table }) => table === name)?.rows ?? -1;
  return names.map((table) => ({ table, rows: of(then, table), now: of(now, table) }));
}

function describe({ epoch, txid, changedMs, pageCount, pageSize }: CellEntry): Restored {
  return { epoch, txid, timeMs: changedMs, bytes: pageCount * pageSize };
}

function limitOf(at: Moment): HistoryLimit {
  return "atMs" in at ? { time: at.atMs } : { position: { epoch: at.epoch as Epoch, txid: at.txid as Txid } };
}

function addressOf(node: Node, text: string): Address {
  const { kind, name } = targetOf(node, text);
  return rootAddress(kind.kind, name);
}

function pastOf({ keeper, options }: Node): PastDoor {
  if (keeper !== undefined) return new PastDoor(keeper);
  const what = `${options.dataDirectory} has no bucket yet, and so no history that can be gone back to`;
  throw new FrondError("NO_BUCKET", `${what}; it gets one when frond start serves it`);
}

/** Lets `work` have a file of the cell as it was, which is gone afterwards. Throws CELL_MISSING, HISTORY_GONE. */
export function cellFileAt<T>(node: Node, address: Address, at: Moment, work: (file: string) => T): Promise<T> {
  return withFile(node, async (file) => {
    await pastOf(node).restore(address, limitOf(at), file);
    return work(file);
  });
}

async function withFile<T>({ options }: Node, work: (file: string) => Promise<T>): Promise<T> {
  const file = path.join(options.dataDirectory, "tmp", `restore-${randomUUID()}.db`);
  try {
    return await work(file);
  } finally {
    removeCell(file);
  }
}
