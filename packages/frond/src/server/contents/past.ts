// The past of cells, and cells as files, for the code of the app that runs outside of them.
//
// Rule: it goes the way of the operator's commands (nodeTools.ts, restoreTools.ts), and nothing is told, errors neither, before
// what it shows is durable. Each piece of work may fetch a whole cell: few run at once, the others wait for their turn.
// SQL of the past runs under the guard of cells, on a file of its own that is gone when the statement has ended.

import { randomUUID } from "node:crypto";
import fs, { type promises } from "node:fs";
import path from "node:path";
import { rootAddress } from "../../address.ts";
import type { App } from "../../cell/app.ts";
import type { Cell, CellClass } from "../../cell/cell.ts";
import type { CellArchive, CellTools, PastCommit, PastMoment, PastSql } from "../../cell/past.ts";
import { onlyRow, textOf } from "../../cell/sql.ts";
import { FrondError } from "../../errors.ts";
import { FILE_PIECE_BYTES, HISTORY_LIMIT, MAX_HISTORY_LIMIT, PAST_AT_ONCE } from "../../limits.ts";
import { CellDatabase } from "../../store/database.ts";
import type { Row } from "../../store/rows.ts";
import type { Address } from "../../types.ts";
import type { Node } from "../node.ts";
import { ARCHIVE_SUFFIX, type CellCommit, type HistoryQuery, type Moment } from "../operator/nodeControl.ts";
import { Places } from "../places.ts";
import { cellFileAt, type Place, restoreInto } from "./restoreTools.ts";

/** The tools of one node. */
export function cellToolsOf(node: Node): CellTools {
  const places = new Places(PAST_AT_ONCE);
  const { app } = node.options;
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await places.take(work);
    } finally {
      await node.host.allTold();
    }
  };
  return {
    async history(type, name, options = {}) {
      const address = addressOf(app, type, name);
      const query = queryOf(options);
      return inTurn(async () => (await node.control.history(address, query)).map(commitOf));
    },
    past(type, name, options) {
      const address = addressOf(app, type, name);
      const at = momentOf(options, ["at"]);
      return pastSql((text, values) =>
        inTurn(() => cellFileAt(node, address, at, (file) => select(file, text, values))),
      );
    },
    async restore(type, name, options) {
      const address = addressOf(app, type, name);
      const at = momentOf(options, ["at", "ifAt"]);
      const ifAt = options.ifAt === undefined ? undefined : positionOf(options.ifAt);
      const { now, before, missingFiles, ...then } = await inTurn(() => restoreInto(node, address, at, ifAt));
      return {
        position: positionText(then),
        time: then.timeMs,
        now: positionText(now),
        ...(before && { before: positionText(before) }),
        missingFiles,
      };
    },
    async export(type, name) {
      const address = addressOf(app, type, name);
      return inTurn(() => archiveOf(node, address));
    },
  };
}

function addressOf<T extends Cell>(app: App, type: CellClass<T>, name: string): Address {
  return rootAddress(app.kindOf(type as CellClass).kind, name);
}

function positionText({ epoch, txid }: { readonly epoch: number; readonly txid: number }): string {
  return `${epoch}-${txid}`;
}

function commitOf(commit: CellCommit): PastCommit {
  return { position: positionText(commit), time: commit.timeMs, size: commit.bytes, what: commit.what };
}

function queryOf(options: NonNullable<Parameters<CellTools["history"]>[2]>): HistoryQuery {
  checkKeys("history", options, ["since", "limit"]);
  const { since, limit = HISTORY_LIMIT } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_HISTORY_LIMIT) {
    throw new FrondError("BAD_OPTION", `limit is a number from 1 to ${MAX_HISTORY_LIMIT}, not ${String(limit)}`);
  }
  return { limit, ...(since !== undefined && { sinceMs: timeOf("since", since) }) };
}

function momentOf(options: { readonly at: PastMoment }, known: readonly string[]): Moment {
  checkKeys("a look back", options, known);
  const { at } = options;
  return typeof at === "string" ? positionOf(at) : { atMs: timeOf("at", at) };
}

function positionOf(text: string): Place {
  const [, epoch, txid] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? [];
  if (epoch !== undefined) return { epoch: Number(epoch), txid: Number(txid) };
  throw new FrondError("BAD_OPTION", `a position is like 12-3456, as history tells it, not ${JSON.stringify(text)}`);
}

function timeOf(what: string, time: unknown): number {
  const ms = time instanceof Date ? time.getTime() : time;
  if (typeof ms === "number" && Number.isFinite(ms)) return ms;
  throw new FrondError("BAD_OPTION", `${what} is a Date or a time in ms since 1970, not ${String(time)}`);
}

function checkKeys(what: string, options: object, known: readonly string[]): void {
  const isObject = typeof options === "object" && options !== null;
  const wrong = isObject ? Object.keys(options).find((key) => !known.includes(key)) : String(options);
  if (wrong === undefined) return;
  throw new FrondError("BAD_OPTION", `the options of ${what} are { ${known.join(", ")} }, not ${wrong}`);
}

function pastSql(read: (text: string, values: unknown[]) => Promise<Row[]>): PastSql {
  const rows = async (strings: TemplateStringsArray, values: unknown[]): Promise<Row[]> =>
    read(textOf(strings), values);
  return {
    all: (strings: TemplateStringsArray, ...values: unknown[]) => rows(strings, values),
    first: async (strings: TemplateStringsArray, ...values: unknown[]) => (await rows(strings, values))[0],
    one: async (strings: TemplateStringsArray, ...values: unknown[]) => onlyRow(await rows(strings, values), strings),
  } as PastSql;
}

function select(file: string, text: string, values: unknown[]): Row[] {
  const db = CellDatabase.open(file, ANY_PAGE_SIZE);
  try {
    const prepared = db.statements.prepare(text);
    if (!prepared.writes) return prepared.all(values);
    throw new FrondError("SQL_DENIED", `the past cannot be changed; in: ${text.trim().slice(0, 120)}`);
  } finally {
    db.close();
  }
}

/** The file is there, and has the page size that it has. */
const ANY_PAGE_SIZE = 4096;

/** The archive in a file that has no name any more: its space is free again once it was read, or the process has ended. */
async function archiveOf({ control, options }: Node, address: Address): Promise<CellArchive> {
  const file = path.join(options.dataDirectory, "tmp", `export-${randomUUID()}${ARCHIVE_SUFFIX}`);
  try {
    const { bytes } = await control.exportTo(address, file);
    return { size: bytes, stream: streamOf(await fs.promises.open(file)) };
  } finally {
    fs.rmSync(file, { force: true });
  }
}

function streamOf(file: promises.FileHandle): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(stream) {
        const { bytesRead, buffer } = await file.read({ buffer: new Uint8Array(FILE_PIECE_BYTES) });
        if (bytesRead > 0) return stream.enqueue(buffer.subarray(0, bytesRead));
        await file.close();
        stream.close();
      },
      cancel: () => file.close(),
    },
    // Nothing is read before somebody asks for it.
    { highWaterMark: 0 },
  );
}
