// `this.ctx`: the inside of a cell in the shape of a Cloudflare Durable Object, which the users of this field know.
//
// Rule: names, results and order are as there where frond has the feature; what it has not is absent, not a stub.
// `ctx.fetch` is frond's own: the requests of a cell to the world, behind the output gate. (`this.fetch` is the hook that
// answers requests, and cannot be both.)

import { FrondError } from "../errors.ts";
import { blockConcurrencyWhile } from "./block.ts";
import { CellFiles } from "./files.ts";
import { invocations } from "./invocation.ts";
import type { LiveCell } from "./live.ts";
import { fetchOut } from "./outgoing.ts";
import { CellSocket } from "./socket.ts";
import { type AcceptOptions, type CellSockets, type SocketResponse, WebSocketRequestResponsePair } from "./sockets.ts";
import { type Sql, sqlOf } from "./sql.ts";
import { CellStorage } from "./storage.ts";

/** Who this cell is. */
export interface CellId {
  /** The name that `get` was given. */
  readonly name: string;
  /** The whole address. */
  toString(): string;
  /** True for the id of the same cell. */
  equals(other: CellId): boolean;
}

/** `this.ctx`. Made by the runtime; handed to the constructor of the class. */
export class CellContext {
  readonly id: CellId;
  readonly storage: CellStorage;
  readonly #cell: LiveCell;
  #sql: Sql | undefined;
  #sockets: CellSockets | undefined;
  #files: CellFiles | undefined;

  constructor(cell: LiveCell) {
    this.#cell = cell;
    this.id = {
      name: cell.name,
      toString: () => cell.address,
      equals: (other) => String(other) === cell.address,
    };
    this.storage = new CellStorage(cell);
  }

  /**
   * Keeps the verb open for `promise`, which its answer does not wait for: its statements are not refused, and the cell is
   * not closed under it. What it is rejected with goes to the log.
   */
  waitUntil(promise: Promise<unknown>): void {
    const cell = this.#cell;
    const fields = { address: cell.address, verb: invocations.getStore()?.verb };
    // Before anything can be refused: a rejection that nobody awaits would be the failure of the whole process.
    const ended = Promise.resolve(promise).then(
      () => {},
      (err: unknown) => cell.host.warn({ ...fields, err }, "what a verb had left to waitUntil failed"),
    );
    const invocation = cell.enter();
    cell.extend(invocation, ended);
  }

  /**
   * Runs `work` with the input gate closed: no other event of the cell begins meanwhile. It begins when the stretch that
   * asks has ended. When it throws, or takes longer than MAX_BLOCK_MS, the instance is given up.
   */
  blockConcurrencyWhile<T>(work: () => T | Promise<T>): Promise<T> {
    return blockConcurrencyWhile(this.#cell, work);
  }

  /**
   * Gives this instance up: what is not committed is undone, whatever runs in it ends with ABORTED, and the next call finds
   * a new one. Throws ABORTED.
   */
  abort(reason = "the cell has aborted itself"): never {
    const cell = this.#cell;
    const invocation = cell.enter();
    const error = new FrondError("ABORTED", `${cell.address}: ${reason}`);
    cell.reset(error);
    invocation.failed ??= error;
    throw error;
  }

  /**
   * The global fetch, which leaves when everything that this cell has seen is as durable as was asked, and never when the
   * transaction that it was made in is rolled back: then it rejects with TX_ABORTED.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return fetchOut(this.#cell, input, init);
  }

  /** `this.accept(request, { tags })`: the shape of a Durable Object, but for the request, which is what there is. */
  acceptWebSocket(request: Request, tags: readonly string[] = []): SocketResponse {
    return CellContext.accept(this, request, { tags });
  }

  /** The open WebSockets of this cell, or those with a tag, in the order of their acceptance. */
  getWebSockets(tag?: string): CellSocket[] {
    return CellContext.socketsOf(this).list(tag);
  }

  /** The tags that a WebSocket was accepted with. */
  getTags(socket: CellSocket): string[] {
    return [...CellSocket.endOf(socket).tags];
  }

  /**
   * From now on a text that equals `pair.request` is answered with `pair.response` on all sockets of this cell, without
   * waking it. Undefined ends it. It lasts as long as there are sockets, or the instance: set it in the constructor.
   */
  setWebSocketAutoResponse(pair?: WebSocketRequestResponsePair): void {
    if (pair !== undefined && !(pair instanceof WebSocketRequestResponsePair)) {
      throw new FrondError("BAD_OPTION", "setWebSocketAutoResponse takes a WebSocketRequestResponsePair");
    }
    CellContext.socketsOf(this).setAutoResponse(pair);
  }

  /** A copy of the pair that is set, or null. */
  getWebSocketAutoResponse(): WebSocketRequestResponsePair | null {
    return CellContext.socketsOf(this).autoResponse;
  }

  /** When a socket last got an automatic answer, or null. */
  getWebSocketAutoResponseTimestamp(socket: CellSocket): Date | null {
    const ms = CellSocket.endOf(socket).autoRespondedMs;
    return ms === undefined ? null : new Date(ms);
  }

  /** For the base class Cell only: see there. */
  static accept(context: CellContext, request: Request, options: AcceptOptions): SocketResponse {
    const cell = context.#cell;
    return cell.host.sockets.accept(cell, CellContext.socketsOf(context), request, options);
  }

  /** For the runtime only: the sockets of this cell. */
  static socketsOf(context: CellContext): CellSockets {
    return (context.#sockets ??= context.#cell.host.sockets.of(context.#cell));
  }

  /** For the base class Cell only. */
  static cellOf(context: CellContext): LiveCell {
    return context.#cell;
  }

  /** For the base class Cell only. */
  static filesOf(context: CellContext): CellFiles {
    return (context.#files ??= new CellFiles(context.#cell));
  }

  /** For the base class Cell only: the tag of this cell. */
  static sqlOf(context: CellContext): Sql {
    return (context.#sql ??= sqlOf(context.#cell));
  }
}
