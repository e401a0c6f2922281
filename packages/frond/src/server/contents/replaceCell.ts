// Giving a cell a content from outside: an import, and a restore into the cell.
//
// Rule: what a cell has promised outlives its content. Ids of scheduled calls that were given are not given again, and files that
// the content before has named stay named, so that it can be restored whole. Everything is looked at before the cell is touched.
// Rejected: statements that copy table by table (a gigabyte through the log, and not the same pages).

import fs from "node:fs";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { formatAddress, parseAddress, rootAddress, slotOf } from "../../address.ts";
import { App, type CellKind } from "../../cell/app.ts";
import { newEntry } from "../../cell/commit.ts";
import type { LiveCell } from "../../cell/live.ts";
import { PageSet } from "../../codec/pages.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { MAX_COMMIT_BYTES } from "../../limits.ts";
import type { CellEntry } from "../../store/catalog.ts";
import { type FileRow, fileRows, traceFiles } from "../../store/fileRows.ts";
import { removeCell } from "../../store/restore.ts";
import { formatPosition, type Position } from "../../types.ts";
import { askContent } from "./askContent.ts";
import type { ContentFacts } from "./content.ts";
import { fullDisk } from "../durably.ts";
import { readArchive } from "../files/fileArchive.ts";
import type { Node } from "../node.ts";
import { ARCHIVE_SUFFIX, type Imported } from "../operator/nodeControl.ts";
import { PastDoor } from "../persist/pastDoor.ts";

/** Where a cell stood before it was replaced, if it was there, and where it stands now. */
export interface Replaced {
  readonly before: Position | undefined;
  readonly now: Position;
}

/** See {@link NodeControl.importFrom}. */
export async function importCell(node: Node, address: string, file: string, replace: boolean): Promise<Imported> {
  const cell = targetOf(node, address);
  refuseExisting(node, cell, replace);
  const database = path.join(node.options.dataDirectory, "tmp", `import-${randomUUID()}.db`);
  try {
    if (file.endsWith(ARCHIVE_SUFFIX)) await unpack(node, file, database);
    else copy(file, database);
    const facts = await askContent("check", database);
    const missing = await missingFiles(node, address, facts);
    const { before, now } = await replaceCell(node, cell, database, facts, replace);
    return {
      ...now,
      bytes: facts.pageCount * facts.pageSize,
      files: facts.files.length,
      missingFiles: missing,
      ...(before && { before: { ...before } }),
    };
  } finally {
    removeCell(database);
  }
}

/** A cell that may be there or not. */
export interface Target {
  readonly kind: CellKind;
  readonly name: string;
}

/** What `address` names in the app of this node; a directory that was opened without its app takes every kind. Throws UNKNOWN_KIND. */
export function targetOf(node: Node, address: string): Target {
  const pairs = parseAddress(address);
  const [pair] = pairs;
  const { app } = node.options;
  const kind =
    pair && (app.kinds.get(pair.kind) ?? (app.raw ? App.withoutClasses([pair.kind]).kinds.get(pair.kind) : undefined));
  if (kind !== undefined && pairs.length === 1) return { kind, name: (pair as { name: string }).name };
  const known = [...app.kinds.keys()].join(", ");
  throw new FrondError("UNKNOWN_KIND", `${address} is not a KIND/NAME address of this app, whose kinds are: ${known}`);
}

/**
 * Makes what is in `database`, a sound file that nobody else uses, the content of the cell. Resolves when everybody may hear of
 * it. `replace`: the cell may exist; else CELL_EXISTS is thrown. A large content goes into the bucket first; meanwhile nobody opens
 * the cell. `ifAt`: only if the cell stands there; else CELL_CHANGED is thrown. Throws RECORD_TOO_LARGE where there is no bucket, and
 * what the bucket throws.
 */
export async function replaceCell(
  node: Node,
  { kind, name }: Target,
  database: string,
  facts: ContentFacts,
  replace: boolean,
  ifAt?: { readonly epoch: number; readonly txid: number },
): Promise<Replaced> {
  const { host, ledger } = node;
  const address = rootAddress(kind.kind, name);
  const slot = slotOf(address);
  let replaced: Replaced | undefined;
  await host.replace(kind, name, (present) => {
    // It may have begun to exist meanwhile.
    refuseExisting(node, { kind, name }, replace);
    const entry = ledger.find(address);
    if (ifAt !== undefined && (entry?.epoch !== ifAt.epoch || entry.txid !== ifAt.txid)) {
      const is = entry === undefined ? "it was never there" : `it stands at ${formatPosition(entry)}`;
      throw new FrondError("CELL_CHANGED", `${address} is not at ${ifAt.epoch}-${ifAt.txid} any more: ${is}`);
    }
    const before = entry === undefined || entry.deleted ? undefined : { epoch: entry.epoch, txid: entry.txid };
    const lastId = Math.max(facts.lastId, entry?.lastId ?? 0, present?.alarms.lastId() ?? 0);
    const traced = present === undefined ? [] : fileRows(present.db, 0);
    const pageCount = traced.length === 0 ? facts.pageCount : trace(database, traced, present as LiveCell);
    const { pageSize, alarms } = facts;
    const isLarge = pageSize * pageCount > MAX_COMMIT_BYTES;
    const base = isLarge ? host.committer.nextPosition(slot) : undefined;
    const pages = isLarge ? noPages(pageSize) : pagesOf(database, pageSize, pageCount);
    const content = { pageSize, pageCount, alarms, lastId, pages, base };
    const log = (): void => {
      const { epoch, txid } = host.committer.replace(address, slot, ledger.find(address), content);
      replaced = { before, now: { epoch, txid } };
    };
    if (base === undefined) return { write: log };
    const createdMs = before === undefined ? Date.now() : (entry?.createdMs ?? 0);
    const known = { ...newEntry(address, slot, pageSize), ...base, ...alarms, lastId, pageCount, createdMs };
    return { write: log, stage: stageOf(node, { ...known, changedMs: Date.now() }, database) };
  });
  await host.allTold();
  node.strikes.forget(address);
  return replaced as unknown as Replaced;
}

/** What does not fit into a record goes into the bucket first, as a snapshot that the record names. */
function stageOf({ keeper }: Node, entry: CellEntry, database: string): () => Promise<void> {
  if (keeper !== undefined) return () => new PastDoor(keeper).putContent(entry, database);
  const bytes = entry.pageCount * entry.pageSize;
  const what = `the content has ${bytes} bytes; without a bucket at most ${MAX_COMMIT_BYTES} can be put in`;
  throw new FrondError("RECORD_TOO_LARGE", what);
}

function refuseExisting({ ledger }: Node, { kind, name }: Target, replace: boolean): void {
  const entry = ledger.find(rootAddress(kind.kind, name));
  if (entry === undefined || entry.deleted || replace) return;
  const how = "--replace gives it the content of the file; what it holds now can then be restored";
  throw new FrondError("CELL_EXISTS", `there is a cell ${entry.address} already; ${how}`);
}

function noPages(pageSize: number): PageSet {
  const pages = new PageSet();
  pages.reset(new Uint8Array(0), pageSize);
  return pages;
}

function pagesOf(database: string, pageSize: number, pageCount: number): PageSet {
  const pages = new PageSet();
  pages.reset(fs.readFileSync(database), pageSize);
  for (let i = 0; i < pageCount; i++) pages.put(i + 1, i * pageSize);
  return pages;
}

/**
 * Names files of the content before in the one to come, so that they stay for as long as that can be
 * restored. Returns how many pages there are then.
 */
function trace(database: string, rows: readonly FileRow[], { host }: LiveCell): number {
  const db = new DatabaseSync(database, { allowExtension: false });
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; BEGIN");
    traceFiles(db, rows, host.clock.now());
    db.exec("COMMIT");
    return (db.prepare("PRAGMA page_count").get() as { page_count: number }).page_count;
  } finally {
    // The last connection moves the log into the file.
    db.close();
  }
}

function copy(from: string, to: string): void {
  try {
    fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
  } catch (error) {
    throw fullDisk(error, "a copy of the file");
  }
}

/** Puts the files of an archive into the bucket, before anything names them, and its database at `database`. */
async function unpack({ files }: Node, archive: string, database: string): Promise<void> {
  for await (const { hash, content } of readArchive(archive)) {
    if (hash !== undefined) await files.put(content);
    else await write(content, database);
  }
}

async function write(content: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  const fd = fs.openSync(file, "wx", 0o600);
  try {
    for await (const chunk of content) for (let at = 0; at < chunk.length;) at += fs.writeSync(fd, chunk, at);
  } catch (error) {
    throw fullDisk(error, "the database of the archive");
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Files that the content references and the bucket has not. Count. Those that the cell does not name by itself are made young: somebody
 * may be about to remove them because nobody names them (fileNames.ts).
 */
export async function missingFiles(node: Node, address: string, facts: ContentFacts): Promise<number> {
  const { files } = node;
  const named = facts.files.length === 0 ? new Set() : await namedBy(node, address);
  let missing = 0;
  for (const { hash, size } of facts.files) {
    const isThere = named.has(hash)
      ? size === 0 || (await files.read(hash, 0, 1)) !== undefined
      : await files.renew(hash);
    if (!isThere) missing += 1;
  }
  return missing;
}

/** The files that the present cell keeps from being removed. */
async function namedBy({ host, ledger, options }: Node, address: string): Promise<Set<string>> {
  const entry = ledger.find(formatAddress(parseAddress(address)));
  if (entry === undefined || entry.deleted) return new Set();
  const since = Date.now() - (options.retentionMs ?? Infinity);
  const rows = await host
    .withCell(address, (cell) => fileRows(cell.db, since), true)
    .catch((error: unknown) => {
      // Deleted meanwhile.
      if (isFrondError(error, "CELL_MISSING")) return [];
      throw error;
    });
  return new Set(rows.map(({ hash }) => hash));
}
