// What a node offers to its operator: cells, SQL, calls, exports. Carried by the control socket, or used directly.
//
// Rule: tools go through the same cells, transactions and gates as everybody else; an answer is given only when what it
// tells is durable. A tool never makes a cell that does not exist, except by calling a verb.

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { formatAddress, parseAddress } from "../../address.ts";
import { eraseFromOutside } from "../../cell/maintenance.ts";
import { execute } from "../../cell/statements.ts";
import { FrondError } from "../../errors.ts";
import { fileRows } from "../../store/fileRows.ts";
import { VERSION } from "../../version.ts";
import type { Node } from "../node.ts";
import { detailOf, listAlarms } from "./alarmList.ts";
import { ARCHIVE_SUFFIX, type CellInfo, type Exported, type NodeControl, type SqlResult } from "./nodeControl.ts";
import { soon } from "../cells/queues.ts";
import { importCell } from "../contents/replaceCell.ts";
import { restoreToolsOf } from "../contents/restoreTools.ts";
import { Session } from "../door/session.ts";

/** The operator's view of a node. */
export function controlOf(node: Node): NodeControl {
  const { host, options } = node;
  const directory = options.dataDirectory;
  return {
    version: () => ({
      version: VERSION,
      pid: process.pid,
      run: node.recovered.run,
      startedMs: node.startedMs,
      ...(node.listen !== undefined && { listen: node.listen }),
      dataDirectory: path.resolve(directory),
    }),
    status() {
      const log = node.logIndex.usage();
      const reports = node.recovered.reports.map((report) => `${report.kind}: ${report.text}`);
      const parked = node.strikes.parked().length;
      if (parked > 0) reports.push(`parked: nothing runs in ${parked} cells that held up the node; see: frond parked`);
      return {
        ready: node.state().ready,
        cells: node.ledger.count(),
        openCells: host.openCells,
        failedAlarms: node.ledger.countFailedAlarms(),
        logBytes: log.bytes,
        logFiles: log.files,
        durability: options.durability,
        ...(node.keeper && { bucket: node.keeper.status() }),
        ...(node.fileSweeps.last && { files: node.fileSweeps.last }),
        reports,
      };
    },
    cells: (after, limit) => listCells(node, after ?? "", limit),
    busiest: (limit) => host.loads().slice(0, limit),
    alarms: (after, limit, failedOnly) => listAlarms(node.ledger, after, limit, failedOnly),
    parked: () => node.strikes.parked(),
    release(address) {
      if (node.strikes.release(formatAddress(parseAddress(address)))) return;
      throw new FrondError("CELL_MISSING", `${address} is not parked; frond parked lists the cells that are`);
    },
    async alarmsOf(address) {
      checkUsed(node);
      const rows = await host.withCell(address, (cell) => cell.alarms.rows());
      await host.allTold();
      return rows.map(detailOf);
    },
    async sql(address, sql, args, write) {
      checkUsed(node);
      const result = await host.withCell(address, (cell): SqlResult => {
        const prepared = cell.db.statements.prepare(sql);
        if (prepared.writes && !write) {
          throw new FrondError("SQL_DENIED", "the statement changes the cell; say so with --write");
        }
        return execute(cell, sql, args, (statement, values) => {
          const { columns } = statement;
          if (columns.length === 0) return { columns: [], rows: [], changes: statement.run(values).changes };
          const rows = statement.all(values);
          return {
            columns: [...columns],
            rows: rows.map((row) => columns.map((name) => (row as Record<string, unknown>)[name])),
            changes: statement.writes ? rows.length : 0,
          };
        });
      });
      await host.allTold();
      return result;
    },
    async call(address, verb, args) {
      const pairs = parseAddress(address);
      const pair = pairs[0];
      const kind = pair && options.app.kinds.get(pair.kind);
      if (pair === undefined || pairs.length > 1 || kind === undefined) {
        throw new FrondError(
          "UNKNOWN_KIND",
          `${address} is not a KIND/NAME address of this app; its kinds are: ${[...options.app.kinds.keys()].join(", ")}`,
        );
      }
      if (verb === "fetch") throw new FrondError("UNKNOWN_VERB", "fetch takes a request; use HTTP");
      const session = new Session();
      try {
        return await new Promise((resolve, reject) => {
          // A verb that is ended by force settles nothing and takes the frames below it along: `fail` tells, these are spared.
          session.fail = reject;
          soon(() => resolve(host.calls.call(session, kind, pair.name, verb, args)));
        });
      } finally {
        await host.allTold();
      }
    },
    async delete(address) {
      checkUsed(node);
      await host.withCell(address, (cell) => eraseFromOutside(cell), true);
      await host.allTold();
      node.strikes.forget(formatAddress(parseAddress(address)));
    },
    async exportTo(address, file) {
      checkUsed(node);
      return exportCell(node, address, file);
    },
    ...restoreToolsOf(node),
    erase: (address) => node.erasures.erase(address),
    erasures: () => node.erasures.status(),
    importFrom: (address, file, replace) => importCell(node, address, file, replace),
  };
}

/** The database as a plain file, or with the files that it names as an archive. */
async function exportCell({ host, files, options }: Node, address: string, file: string): Promise<Exported> {
  const isArchive = file.endsWith(ARCHIVE_SUFFIX);
  const database = isArchive ? path.join(options.dataDirectory, "tmp", `archive-${randomUUID()}.db`) : file;
  try {
    const named = await host.withCell(address, (cell) => {
      cell.db.exportTo(database);
      return fileRows(cell.db).map(({ hash, size }) => ({ hash, size }));
    });
    await host.allTold();
    if (!isArchive) return { bytes: fs.statSync(file).size, files: named.length };
    return { ...(await files.archive({ database, files: named, target: file })), files: named.length };
  } finally {
    if (isArchive) fs.rmSync(database, { force: true });
  }
}

/** Without its app, a directory knows kinds by their cells alone: a list of none would explain nothing. */
function checkUsed(node: Node): void {
  const { app, dataDirectory } = node.options;
  if (app.kinds.size > 0) return;
  throw new FrondError("UNKNOWN_KIND", `no app with cells has ever run on ${path.resolve(dataDirectory)}`);
}

function listCells(node: Node, after: string, limit: number): CellInfo[] {
  return node.ledger.list(after, limit).map((entry) => ({
    address: entry.address,
    slot: entry.slot,
    epoch: entry.epoch,
    txid: entry.txid,
    bytes: entry.pageCount * entry.pageSize,
    open: node.host.openCell(entry.address) !== undefined,
    changedMs: entry.changedMs,
  }));
}
