// The other end of the control socket, and the same view of a node that the command itself has opened.
//
// Rule: a command works with an OperatorView and does not know which of the two it has. Values are in the form of
// wire.ts either way, so that `--json` prints the same for both.

import { createReadStream, createWriteStream, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { FrondError } from "../../errors.ts";
import { SOCKET_NAME, readPointer } from "./control.ts";
import { resultOf } from "./controlFiles.ts";
import {
  type AlarmDetail,
  type AlarmInfo,
  ARCHIVE_SUFFIX,
  type CellCommit,
  type CellInfo,
  type CellLoad,
  type ErasureState,
  type Exported,
  type HistoryQuery,
  type Imported,
  type Moment,
  type NodeControl,
  type NodeStatus,
  type NodeVersion,
  type Restored,
  type RestoredCell,
  type RestorePreview,
  type SqlResult,
} from "./nodeControl.ts";
import type { ParkedCell } from "../cells/strikes.ts";
import { toWire } from "./wire.ts";
import type { WireError } from "./wire.ts";

/** Hears how many bytes of a file have gone over, of how many. */
export type Progress = (bytes: number, of: number) => void;

/** What commands see of a node. Failures are thrown as ControlError or FrondError. */
export interface OperatorView {
  version(): Promise<NodeVersion>;
  status(): Promise<NodeStatus>;
  cells(after: string | undefined, limit: number): Promise<CellInfo[]>;
  busiest(limit: number): Promise<CellLoad[]>;
  alarms(after: AlarmInfo | undefined, limit: number, failedOnly: boolean): Promise<AlarmInfo[]>;
  alarmsOf(address: string): Promise<AlarmDetail[]>;
  parked(): Promise<ParkedCell[]>;
  release(address: string): Promise<void>;
  sql(address: string, sql: string, args: readonly unknown[], write: boolean): Promise<SqlResult>;
  call(address: string, verb: string, args: readonly unknown[]): Promise<unknown>;
  delete(address: string): Promise<void>;
  /** Writes the cell at `file`, which must not exist, see {@link NodeControl}; nothing is left there on failure. */
  exportTo(address: string, file: string, progress?: Progress): Promise<Exported>;
  /** See {@link NodeControl}; the file stays as it is. */
  importFrom(address: string, file: string, replace: boolean, progress?: Progress): Promise<Imported>;
  history(address: string, query: HistoryQuery): Promise<CellCommit[]>;
  /** As exportTo. */
  restoreTo(address: string, at: Moment, file: string, progress?: Progress): Promise<Restored>;
  restoreInto(address: string, at: Moment): Promise<RestoredCell>;
  previewRestore(address: string, at: Moment): Promise<RestorePreview>;
  erase(address: string): Promise<ErasureState>;
  erasures(): Promise<ErasureState[]>;
  close(): Promise<void>;
}

/** A failure that happened in the node. `code` is a code of frond or of the app. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: string;
  readonly retryable: boolean;
  readonly overloaded: boolean;
  readonly remote: boolean;

  constructor(error: WireError) {
    super(error.message);
    this.code = error.code;
    this.retryable = error.retryable;
    this.overloaded = error.overloaded;
    this.remote = error.remote;
  }
}

/** The node that serves `directory`, or undefined when none runs. */
export async function connectControl(directory: string): Promise<OperatorView | undefined> {
  const socket = readPointer(directory) ?? path.join(directory, SOCKET_NAME);
  const client = new ControlClient(socket);
  try {
    await client.version();
    return client;
  } catch (error) {
    await client.close();
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTDIR" || code === "EINVAL") return undefined;
    if (code !== "EACCES" && code !== "EPERM") throw error;
    throw new FrondError("NOT_RUNNING", `the node of ${directory} belongs to another user, who alone may ask it`);
  }
}

/** `control` of a node in this process, as commands see it. `close` ends that node. */
export function viewOf(control: NodeControl, close: () => Promise<void>): OperatorView {
  return {
    version: async () => control.version(),
    status: async () => control.status(),
    cells: async (after, limit) => control.cells(after, limit),
    busiest: async (limit) => control.busiest(limit),
    alarms: async (after, limit, failedOnly) => control.alarms(after, limit, failedOnly),
    alarmsOf: (address) => control.alarmsOf(address),
    parked: async () => control.parked(),
    release: async (address) => control.release(address),
    sql: async (address, sql, args, write) => toWire(await control.sql(address, sql, [...args], write)) as SqlResult,
    call: async (address, verb, args) => toWire(await control.call(address, verb, [...args])),
    delete: (address) => control.delete(address),
    exportTo: (address, file) => orNothing(file, () => control.exportTo(address, file)),
    importFrom: (address, file, replace) => control.importFrom(address, file, replace),
    history: (address, query) => control.history(address, query),
    restoreTo: (address, at, file) => orNothing(file, () => control.restoreTo(address, at, file)),
    restoreInto: (address, at) => control.restoreInto(address, at),
    previewRestore: (address, at) => control.previewRestore(address, at),
    erase: (address) => control.erase(address),
    erasures: () => control.erasures(),
    close,
  };
}

async function orNothing<T>(file: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}

class ControlClient implements OperatorView {
  readonly #socket: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(socket: string) {
    this.#socket = socket;
  }

  version(): Promise<NodeVersion> {
    return this.#ask("version", []) as Promise<NodeVersion>;
  }

  status(): Promise<NodeStatus> {
    return this.#ask("status", []) as Promise<NodeStatus>;
  }

  cells(after: string | undefined, limit: number): Promise<CellInfo[]> {
    return this.#ask("cells", [after ?? null, limit]) as Promise<CellInfo[]>;
  }

  busiest(limit: number): Promise<CellLoad[]> {
    return this.#ask("busiest", [limit]) as Promise<CellLoad[]>;
  }

  alarms(after: AlarmInfo | undefined, limit: number, failedOnly: boolean): Promise<AlarmInfo[]> {
    return this.#ask("alarms", [after ?? null, limit, failedOnly]) as Promise<AlarmInfo[]>;
  }

  parked(): Promise<ParkedCell[]> {
    return this.#ask("parked", []) as Promise<ParkedCell[]>;
  }

  async release(address: string): Promise<void> {
    await this.#ask("release", [address]);
  }

  alarmsOf(address: string): Promise<AlarmDetail[]> {
    return this.#ask("alarmsOf", [address]) as Promise<AlarmDetail[]>;
  }

  sql(address: string, sql: string, args: readonly unknown[], write: boolean): Promise<SqlResult> {
    return this.#ask("sql", [address, sql, args, write]) as Promise<SqlResult>;
  }

  call(address: string, verb: string, args: readonly unknown[]): Promise<unknown> {
    return this.#ask("call", [address, verb, args]);
  }

  async delete(address: string): Promise<void> {
    await this.#ask("delete", [address]);
  }

  exportTo(address: string, file: string, progress?: Progress): Promise<Exported> {
    return this.#fetch("exportTo", [address, file.endsWith(ARCHIVE_SUFFIX)], file, progress);
  }

  restoreTo(address: string, at: Moment, file: string, progress?: Progress): Promise<Restored> {
    return this.#fetch("restoreTo", [address, at], file, progress);
  }

  async importFrom(address: string, file: string, replace: boolean, progress?: Progress): Promise<Imported> {
    const size = statSync(file).size;
    const args = encodeURIComponent(JSON.stringify([address, replace, file.endsWith(ARCHIVE_SUFFIX)]));
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = this.#request(`importFrom?${args}`, size, resolve, reject);
    // Whoever refuses it answers before it has read all of it.
    pipeline(createReadStream(file), counted(size, progress), outgoing).catch(reject);
    const answer = await promise;
    if (answer.statusCode !== 200) throw await failure(answer);
    return (JSON.parse(await textOf(answer)) as { ok: Imported }).ok;
  }

  history(address: string, query: HistoryQuery): Promise<CellCommit[]> {
    return this.#ask("history", [address, query]) as Promise<CellCommit[]>;
  }

  restoreInto(address: string, at: Moment): Promise<RestoredCell> {
    return this.#ask("restoreInto", [address, at]) as Promise<RestoredCell>;
  }

  previewRestore(address: string, at: Moment): Promise<RestorePreview> {
    return this.#ask("previewRestore", [address, at]) as Promise<RestorePreview>;
  }

  erase(address: string): Promise<ErasureState> {
    return this.#ask("erase", [address]) as Promise<ErasureState>;
  }

  erasures(): Promise<ErasureState[]> {
    return this.#ask("erasures", []) as Promise<ErasureState[]>;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #ask(method: string, args: unknown[]): Promise<unknown> {
    const answer = await this.#send(method, args);
    if (answer.statusCode !== 200) throw await failure(answer);
    return (JSON.parse(await textOf(answer)) as { ok?: unknown }).ok;
  }

  /** Asks for a file, and writes it where nothing may be. */
  async #fetch<T>(method: string, args: unknown[], file: string, progress: Progress | undefined): Promise<T> {
    const answer = await this.#send(method, args);
    if (answer.statusCode !== 200) throw await failure(answer);
    const output = createWriteStream(file, { flags: "wx", mode: 0o600, flush: true });
    try {
      await pipeline(answer, counted(Number(answer.headers["content-length"]), progress), output);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") await rm(file, { force: true });
      throw error;
    }
    return resultOf(answer) as T;
  }

  #send(method: string, args: unknown[]): Promise<IncomingMessage> {
    const body = JSON.stringify(toWire(args));
    return new Promise((resolve, reject) => {
      this.#request(method, Buffer.byteLength(body), resolve, reject).end(body);
    });
  }

  #request(
    target: string,
    bytes: number,
    resolve: (answer: IncomingMessage) => void,
    reject: (error: Error) => void,
  ): ClientRequest {
    return request({
      socketPath: this.#socket,
      agent: this.#agent,
      method: "POST",
      path: `/${target}`,
      headers: { "content-type": "application/json", "content-length": bytes },
    })
      .on("response", resolve)
      .on("error", (error) => reject(brokenOff(error)));
  }
}

/** Passes chunks on, and tells how many bytes they were. */
function counted(of: number, progress: Progress | undefined) {
  return async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      progress?.(bytes, of);
      yield chunk;
    }
  };
}

function brokenOff(error: NodeJS.ErrnoException): Error {
  if (error.code !== "ECONNRESET" && error.code !== "EPIPE") return error;
  const message = "the node ended before it had answered; whether the command took effect is not known";
  return new FrondError("NOT_RUNNING", message, { cause: error });
}

async function failure(answer: IncomingMessage): Promise<Error> {
  return new ControlError((JSON.parse(await textOf(answer)) as { error: WireError }).error);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let body = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer as AsyncIterable<string>) body += chunk;
  return body;
}
