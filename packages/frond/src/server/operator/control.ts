// The control socket: how the operator's commands reach a running node.
//
// Rule: whoever may use the data directory may use the node, and nobody else: a unix socket of mode 0600 in it, made
// under a umask so that there is no moment with another mode. No secret, no port, nothing that a browser can reach.
// A socket file that is already there is a dead node's, since its maker held the directory's lock and we hold it now.
//
// It speaks HTTP/1.1 with JSON: POST /METHOD with the list of arguments, answered {"ok": result} or {"error": {...}}; what
// gives or takes a file has its bytes for a body (controlFiles.ts). Rejected: a framing of our own, a TCP port with a token.

import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { FrondError } from "../../errors.ts";
import { CELLS_PER_PAGE, MAX_CONTROL_BYTES, MAX_SOCKET_PATH_BYTES } from "../../limits.ts";
import { receiveFile, sendFile, type Sent } from "./controlFiles.ts";
import { type AlarmInfo, ARCHIVE_SUFFIX, type HistoryQuery, type Moment, type NodeControl } from "./nodeControl.ts";
import { errorToWire, fromWire, toWire } from "./wire.ts";

/** Name of the socket in the data directory, and of the file that tells where it is when the path is too long for one. */
export const SOCKET_NAME = "control.sock";
export const POINTER_NAME = "control.json";

export interface ControlFront {
  /** Path of the socket. */
  readonly path: string;
  /** Closes the socket and removes its file. Calls in work are cut. */
  stop(): Promise<void>;
}

/** Serves `control` on the socket of `directory`, whose lock the caller holds. */
export async function serveControl(directory: string, control: NodeControl): Promise<ControlFront> {
  const socket = placeSocket(directory);
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing, directory, control).catch((error: unknown) => {
      if (outgoing.headersSent) outgoing.destroy();
      else sendJson(outgoing, 500, { error: errorToWire(error) });
    });
  });
  // A verb may take its time; whoever connects here is the operator.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const umask = process.umask(0o177);
    try {
      // The file is made within this call, before it returns.
      server.listen(socket, resolve);
    } finally {
      process.umask(umask);
    }
  });
  return {
    path: socket,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      removeOld(directory);
    },
  };
}

/** Where the socket goes: into the directory or, when that path is too long, into a private folder that it points to. */
function placeSocket(directory: string): string {
  removeOld(directory);
  const direct = path.join(directory, SOCKET_NAME);
  if (Buffer.byteLength(direct) <= MAX_SOCKET_PATH_BYTES) return direct;
  const folder = mkdtempSync(path.join(tmpdir(), SHORT_PREFIX));
  const socket = path.join(folder, SOCKET_NAME);
  const pointer = path.join(directory, POINTER_NAME);
  const temporary = `${pointer}.new`;
  writeFileSync(temporary, JSON.stringify({ socket }), { mode: 0o600 });
  renameSync(temporary, pointer);
  return socket;
}

const SHORT_PREFIX = "frond-control-";

function removeOld(directory: string): void {
  rmSync(path.join(directory, SOCKET_NAME), { force: true });
  const pointer = path.join(directory, POINTER_NAME);
  const socket = readPointer(directory);
  // Only what this file made is removed with its folder, whatever the pointer says.
  if (socket !== undefined && path.basename(path.dirname(socket)).startsWith(SHORT_PREFIX)) {
    rmSync(socket, { force: true });
    rmSync(path.dirname(socket), { force: true, recursive: true });
  }
  rmSync(pointer, { force: true });
}

/** The path of a socket that did not fit into `directory`, if its pointer is there. */
export function readPointer(directory: string): string | undefined {
  try {
    const { socket } = JSON.parse(readFileSync(path.join(directory, POINTER_NAME), "utf8")) as { socket?: unknown };
    return typeof socket === "string" ? socket : undefined;
  } catch {
    return undefined;
  }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  directory: string,
  control: NodeControl,
): Promise<void> {
  const [method = "", query] = (incoming.url ?? "").slice(1).split("?");
  if (method === "importFrom") {
    const [address, replace, isArchive] = queried(query);
    const kept = { suffix: isArchive === true ? ARCHIVE_SUFFIX : ".db", directory };
    const imported = await receiveFile(incoming, kept, (file) =>
      control.importFrom(text([address], 0, "address"), file, replace === true),
    );
    return sendJson(outgoing, 200, { ok: imported });
  }
  const args = await readArguments(incoming);
  const make = Object.hasOwn(FILES, method) ? FILES[method] : undefined;
  if (make !== undefined) {
    const suffix = method === "exportTo" && args[1] === true ? ARCHIVE_SUFFIX : ".db";
    return sendFile(outgoing, { suffix, directory }, (file) => make(control, args, file));
  }
  const call = Object.hasOwn(CALLS, method) ? CALLS[method] : undefined;
  if (call === undefined || incoming.method !== "POST") {
    const { version } = control.version();
    throw new FrondError("BAD_OPTION", `the running node (frond ${version}) does not know "${method}": is it older?`);
  }
  sendJson(outgoing, 200, { ok: toWire(await call(control, args)) });
}

const CALLS: Readonly<Record<string, (control: NodeControl, args: readonly unknown[]) => unknown>> = {
  version: (control) => control.version(),
  status: (control) => control.status(),
  cells(control, args) {
    const after = args[0] === undefined || args[0] === null ? undefined : text(args, 0, "after");
    return control.cells(after, pageLimit(args[1]));
  },
  alarms(control, args) {
    const after = (args[0] ?? undefined) as AlarmInfo | undefined;
    if (after !== undefined && (typeof after.address !== "string" || typeof after.dueMs !== "number")) {
      throw new FrondError("BAD_OPTION", "argument 0 (after) is an alarm that was listed before");
    }
    return control.alarms(after, pageLimit(args[1]), args[2] === true);
  },
  alarmsOf: (control, args) => control.alarmsOf(text(args, 0, "address")),
  parked: (control) => control.parked(),
  release: (control, args) => control.release(text(args, 0, "address")),
  busiest: (control, args) => control.busiest(typeof args[0] === "number" ? Math.max(1, Math.trunc(args[0])) : 20),
  sql: (control, args) =>
    control.sql(text(args, 0, "address"), text(args, 1, "sql"), list(args, 2, "args"), args[3] === true),
  call: (control, args) => control.call(text(args, 0, "address"), text(args, 1, "verb"), list(args, 2, "args")),
  delete: (control, args) => control.delete(text(args, 0, "address")),
  history: (control, args) => control.history(text(args, 0, "address"), historyQuery(args[1])),
  restoreInto: (control, args) => control.restoreInto(text(args, 0, "address"), moment(args[1])),
  erase: (control, args) => control.erase(text(args, 0, "address")),
  erasures: (control) => control.erasures(),
  previewRestore: (control, args) => control.previewRestore(text(args, 0, "address"), moment(args[1])),
};

/** Those that are answered with a file. */
const FILES: Readonly<Record<string, (control: NodeControl, args: readonly unknown[], file: string) => Promise<Sent>>> =
  {
    exportTo: (control, args, file) => control.exportTo(text(args, 0, "address"), file),
    restoreTo: (control, args, file) => control.restoreTo(text(args, 0, "address"), moment(args[1]), file),
  };

function moment(value: unknown): Moment {
  const { atMs, epoch, txid } = (value ?? {}) as { atMs?: unknown; epoch?: unknown; txid?: unknown };
  if (typeof atMs === "number") return { atMs };
  if (typeof epoch === "number" && typeof txid === "number") return { epoch, txid };
  throw new FrondError("BAD_OPTION", "argument 1 (at) is a time or a position");
}

function historyQuery(value: unknown): HistoryQuery {
  const { sinceMs, limit } = (value ?? {}) as { sinceMs?: unknown; limit?: unknown };
  return { limit: pageLimit(limit), ...(typeof sinceMs === "number" && { sinceMs }) };
}

/** Arguments that stand in the target, because the body is a file. */
function queried(query: string | undefined): unknown[] {
  const args: unknown = parse(decodeURIComponent(query ?? "[]"));
  return Array.isArray(args) ? args : [];
}

function pageLimit(limit: unknown): number {
  return typeof limit === "number" ? Math.max(1, Math.min(CELLS_PER_PAGE, Math.trunc(limit))) : CELLS_PER_PAGE;
}

async function readArguments(incoming: IncomingMessage): Promise<unknown[]> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_CONTROL_BYTES) {
      throw new FrondError("BODY_TOO_LARGE", `the arguments of a command may hold ${MAX_CONTROL_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  const args: unknown = bytes === 0 ? [] : parse(Buffer.concat(chunks).toString());
  if (!Array.isArray(args)) throw new FrondError("BAD_OPTION", "the arguments of a command are a JSON list");
  return fromWire(args) as unknown[];
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new FrondError("BAD_OPTION", `the arguments of a command are no JSON: ${(error as Error).message}`);
  }
}

function text(args: readonly unknown[], index: number, name: string): string {
  const value = args[index];
  if (typeof value !== "string") throw new FrondError("BAD_OPTION", `argument ${index} (${name}) is a text`);
  return value;
}

function list(args: readonly unknown[], index: number, name: string): unknown[] {
  const value = args[index] ?? [];
  if (!Array.isArray(value)) throw new FrondError("BAD_OPTION", `argument ${index} (${name}) is a list`);
  return value;
}

function sendJson(outgoing: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  outgoing.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  outgoing.end(body);
}
