// The gateway: brings what happens on WebSockets to the cells they belong to.
//
// Rule: events of one socket begin in the order in which they arrive, each as an event of its cell, behind its input gate;
// a socket whose cell is slow is read no further. Every socket that opened ends with one webSocketClose, unless the
// process ends first: a stop closes with 1012 and runs no hooks, as a kill could not either.
// Frames are handed over at most once. Where an event could not be given to its cell, the client is told by the end of
// the connection (1013: come again; 1011: this does not work), so that no stream goes on with a hole in it. An event
// whose own code throws is logged, and its socket lives on, as with Durable Objects.

import { AsyncLocalStorage } from "node:async_hooks";
import type { CellKind } from "../../cell/app.ts";
import type { Cell } from "../../cell/cell.ts";
import { callHook } from "../../cell/invocation.ts";
import type { SocketEnd } from "../../cell/socketEnd.ts";
import type { PendingUpgrade, SocketDoor } from "../../cell/sockets.ts";
import type { Clock } from "../../clock.ts";
import { isFrondError } from "../../errors.ts";
import { MAX_SOCKET_EVENT_BYTES, MAX_SOCKET_EVENTS, SOCKET_RETRY_FOR_MS, SOCKET_RETRY_MS } from "../../limits.ts";
import type { Connection, ConnectionOwner, Connections } from "./connection.ts";
import type { Upgrades } from "./upgrade.ts";

/** Where events go. Implemented by the host of cells. */
export interface CellEvents {
  /** Runs `run` as an event of the cell, in order; rejects with what it throws, or with why the cell could not be had. */
  event(
    kind: CellKind,
    name: string,
    what: string,
    run: (cell: { readonly instance: Cell }) => unknown,
  ): Promise<unknown>;
}

/** What a gateway is made of. */
export interface GatewayOptions {
  readonly upgrades: Upgrades;
  readonly events: CellEvents;
  readonly clock: Clock;
  /** A client may be able to call this any number of times: a log that holds back. */
  readonly warn: (fields: object, message: string) => void;
}

/** See the head of the file. One per node. */
export class Gateway implements SocketDoor {
  readonly #o: GatewayOptions;
  /** Events begin outside of whichever invocation made room for them. */
  readonly #outside = AsyncLocalStorage.snapshot();

  constructor(options: GatewayOptions) {
    this.#o = options;
  }

  pending(request: Request): PendingUpgrade | undefined {
    const upgrade = this.#o.upgrades.pending(request);
    return (
      upgrade && {
        allows: (origins) => upgrade.allows(origins),
        accept: (end, protocol) =>
          upgrade.accept({
            protocol,
            opened: (ws) => {
              const feed = new Feed(this, end);
              feed.begin(this.connections.open(ws, feed));
            },
            dropped: () => end.ended(),
          }),
        withdraw: () => upgrade.withdraw(),
      }
    );
  }

  get connections(): Connections {
    return this.#o.upgrades.connections;
  }

  get clock(): Clock {
    return this.#o.clock;
  }

  event(end: SocketEnd, what: string, run: (cell: { readonly instance: Cell }) => unknown): Promise<unknown> {
    const { kind, name } = end.set;
    return this.#outside(() => this.#o.events.event(kind, name, what, run));
  }

  outside(run: () => void): void {
    this.#outside(run);
  }

  /** Says why an event failed. */
  failed(end: SocketEnd, what: Hook, error: unknown): void {
    this.#o.warn({ address: end.set.address, event: what, err: error }, "an event of a WebSocket failed");
  }
}

type Hook = "webSocketMessage" | "webSocketClose" | "webSocketError";

interface SocketEvent {
  readonly hook: Hook;
  readonly args: readonly unknown[];
  readonly bytes: number;
}

/** The longest pause between two attempts to give an event to its cell, in ms. */
const LONGEST_PAUSE_MS = 5_000;

/** The events of one socket, on their way to its cell. */
class Feed implements ConnectionOwner {
  readonly #gateway: Gateway;
  readonly #end: SocketEnd;
  #connection!: Connection;
  /** Events that their cell has not begun. */
  readonly #inbox: SocketEvent[] = [];
  /** The first of the inbox was handed to the cell and has not begun. */
  #handed = false;
  /** Events that have not ended, and the bytes of their messages. */
  #open = 0;
  #bytes = 0;
  #paused = false;
  #attempts = 0;
  #refusedMs = 0;
  /** No more messages are taken: one before them was lost. */
  #given = false;
  #stopping = false;

  constructor(gateway: Gateway, end: SocketEnd) {
    this.#gateway = gateway;
    this.#end = end;
  }

  begin(connection: Connection): void {
    this.#connection = connection;
    this.#end.opened(connection);
  }

  message(data: string | ArrayBuffer): void {
    const end = this.#end;
    if (typeof data === "string" && end.set.answer(end, data, () => this.#gateway.clock.now())) return;
    if (this.#given) return;
    const bytes = typeof data === "string" ? data.length : data.byteLength;
    this.#put({ hook: "webSocketMessage", args: [data], bytes });
  }

  failed(error: Error): void {
    this.#put({ hook: "webSocketError", args: [error], bytes: 0 });
  }

  ended(code: number, reason: string, wasClean: boolean): void {
    this.#end.ended();
    this.#put({ hook: "webSocketClose", args: [code, reason, wasClean], bytes: 0 });
  }

  stopping(code: number, reason: string): void {
    this.#stopping = true;
    this.#inbox.length = 0;
    this.#end.closeKnown(code, reason);
  }

  /** Its cell hears nothing more. */
  get #silent(): boolean {
    return this.#stopping || this.#end.dismissed;
  }

  #put(event: SocketEvent): void {
    // A class without the hook is not woken for it.
    if (this.#silent || !(event.hook in this.#end.set.kind.type.prototype)) return;
    this.#inbox.push(event);
    this.#open += 1;
    this.#bytes += event.bytes;
    if (!this.#paused && (this.#open >= MAX_SOCKET_EVENTS || this.#bytes >= MAX_SOCKET_EVENT_BYTES)) {
      this.#paused = true;
      this.#connection.pause();
    }
    this.#pump();
  }

  #pump(): void {
    while (!this.#handed && this.#inbox[0] !== undefined) this.#hand(this.#inbox[0]);
  }

  #hand(event: SocketEvent): void {
    this.#handed = true;
    const at = { once: true, begun: false };
    const run = (cell: { readonly instance: Cell }): unknown => {
      at.begun = true;
      this.#begun();
      // The next one follows by itself, or as soon as the code that runs now has returned.
      if (!at.once) queueMicrotask(() => this.#gateway.outside(() => this.#pump()));
      if (this.#end.dismissed) return undefined;
      const hook = cell.instance[event.hook] as ((...args: unknown[]) => unknown) | undefined;
      return hook && callHook(hook, cell.instance, [this.#end.face, ...event.args]);
    };
    this.#gateway.event(this.#end, event.hook, run).then(
      () => this.#over(event),
      (error: unknown) => {
        if (at.begun) this.#failed(event, error);
        else this.#refused(event, error);
      },
    );
    at.once = false;
  }

  #begun(): void {
    this.#inbox.shift();
    this.#handed = false;
    this.#attempts = 0;
    this.#refusedMs = 0;
  }

  #over(event: SocketEvent): void {
    this.#open -= 1;
    this.#bytes -= event.bytes;
    if (this.#paused && this.#open <= MAX_SOCKET_EVENTS / 2 && this.#bytes <= MAX_SOCKET_EVENT_BYTES / 2) {
      this.#paused = false;
      this.#connection.resume();
    }
  }

  /** Its own code threw, or the runtime did not take what it did. */
  #failed(event: SocketEvent, error: unknown): void {
    this.#over(event);
    if (this.#stopping || isFrondError(error, "STOPPING")) return;
    this.#gateway.failed(this.#end, event.hook, error);
    if (isRetryable(error)) this.#giveUp(1013, "try again later");
  }

  /** Its cell could not be had. */
  #refused(event: SocketEvent, error: unknown): void {
    if (this.#stopping || isFrondError(error, "STOPPING")) return;
    // A last word is kept for as long as it may be heard; nobody waits for it.
    const worthwhile = event.hook === "webSocketClose" || this.#refusedMs < SOCKET_RETRY_FOR_MS;
    if (isRetryable(error) && worthwhile) {
      const pause = Math.min(LONGEST_PAUSE_MS, SOCKET_RETRY_MS * 2 ** this.#attempts);
      this.#attempts += 1;
      this.#refusedMs += pause;
      this.#gateway.clock.after(pause, () => {
        this.#handed = false;
        this.#pump();
      });
      return;
    }
    this.#begun();
    this.#over(event);
    this.#gateway.failed(this.#end, event.hook, error);
    if (isRetryable(error)) this.#giveUp(1013, "try again later");
    else this.#giveUp(1011, "this failed");
    this.#pump();
  }

  /** Ends the connection; messages that came behind the one that was lost go with it. */
  #giveUp(code: number, reason: string): void {
    this.#given = true;
    for (const event of this.#inbox.splice(this.#handed ? 1 : 0)) {
      if (event.hook === "webSocketMessage") this.#over(event);
      else this.#inbox.push(event);
    }
    this.#end.closeKnown(code, reason);
  }
}

function isRetryable(error: unknown): boolean {
  return typeof error === "object" && error !== null && (error as { retryable?: unknown }).retryable === true;
}
