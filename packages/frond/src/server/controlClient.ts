// The other end of the control socket, and the same view of a node that the command itself has opened.
//
// Rule: a command works with an OperatorView and does not know which of the two it has. Values are in the form of
// wire.ts either way, so that `--json` prints the same for both.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { FrondError } from "../errors.ts";
import { FILES_HEADER, SOCKET_NAME, readPointer } from "./control.ts";
import {
  type AlarmDetail,
  type AlarmInfo,
  ARCHIVE_SUFFIX,
  type CellInfo,
  type CellLoad,
  type Exported,
  type NodeControl,
  type NodeStatus,
  type NodeVersion,
  type SqlResult,
} from "./nodeControl.ts";
import type { ParkedCell } from "./strikes.ts";
import { toWire } from "./wire.ts";
import type { WireError } from "./wire.ts";

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
  exportTo(address: string, file: string): Promise<Exported>;
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
    async exportTo(address, file) {
      try {
        return await control.exportTo(address, file);
      } catch (error) {
        await rm(file, { force: true });
        throw error;
      }
    },
    close,
  };
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

  async exportTo(address: string, file: string): Promise<Exported> {
    const answer = await this.#send("exportTo", [address, file.endsWith(ARCHIVE_SUFFIX)]);
    if (answer.statusCode !== 200) throw await failure(answer);
    const output = createWriteStream(file, { flags: "wx", mode: 0o600, flush: true });
    try {
      await pipeline(answer, output);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") await rm(file, { force: true });
      throw error;
    }
    return { bytes: output.bytesWritten, files: Number(answer.headers[FILES_HEADER] ?? 0) };
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #ask(method: string, args: unknown[]): Promise<unknown> {
    const answer = await this.#send(method, args);
    if (answer.statusCode !== 200) throw await failure(answer);
    return (JSON.parse(await textOf(answer)) as { ok?: unknown }).ok;
  }

  #send(method: string, args: unknown[]): Promise<IncomingMessage> {
    const body = JSON.stringify(toWire(args));
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.#socket,
        agent: this.#agent,
        method: "POST",
        path: `/${method}`,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      });
      outgoing
        .on("response", resolve)
        .on("error", (error) => reject(brokenOff(error)))
        .end(body);
    });
  }
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
