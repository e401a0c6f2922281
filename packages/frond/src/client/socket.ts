// Calls over one WebSocket: one JSON text frame each, many in flight.
//
// Rule: the socket is made when a call needs it. When it is lost, what was in flight fails with OUTCOME_UNKNOWN and is not
// sent again; calls that had not left wait for the next socket, as long as their own time allows. Attempts follow each
// other with growing, random pauses, so that a restarted server is not met by all its clients at once.
// Rejected: a socket that is kept up while nobody calls (the server would carry it for nothing).

import { type Call, type Carry, EXPIRED } from "./calls.ts";
import { notConnected, toldError, unknownOutcome } from "./error.ts";

/** What is used of a WebSocket: the browser's, Node's and that of the package `ws` have it. */
export interface ClientSocket {
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  send(text: string): void;
  close(): void;
}

/** Makes the WebSocket to `url` (`wss://...`). */
export type SocketMaker = (url: string) => ClientSocket;

/** Pauses between attempts, in ms: at random up to the first, doubling up to the last. */
const FIRST_PAUSE_MS = 200;
const LAST_PAUSE_MS = 10_000;

interface Waiting {
  readonly call: Call;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** One WebSocket, and the calls that have left on it, by their id. */
class Lane {
  readonly socket: ClientSocket;
  readonly inFlight = new Map<number, Waiting>();
  open = false;
  /** Nothing is sent on it any more. */
  retired = false;
  /** Calls that have left since anything was heard. */
  readonly unheard = new Set<number>();

  constructor(socket: ClientSocket) {
    this.socket = socket;
  }

  send(id: number, waiting: Waiting): void {
    const { args, ...to } = waiting.call;
    this.inFlight.set(id, waiting);
    this.unheard.add(id);
    this.socket.send(`${JSON.stringify({ id, ...to }).slice(0, -1)},"args":${args}}`);
  }

  /** Takes a call off, and closes a retired socket behind its last one. */
  take(id: number): Waiting | undefined {
    const waiting = this.inFlight.get(id);
    this.inFlight.delete(id);
    if (this.retired && this.inFlight.size === 0) this.socket.close();
    return waiting;
  }
}

/** Carries calls to the server at `base`. */
export class SocketCarrier {
  readonly #url: string;
  readonly #make: SocketMaker;
  readonly #lanes = new Set<Lane>();
  /** The lane that calls leave on, or will when it is open. */
  #current: Lane | undefined;
  #closed = false;
  #lastId = 0;
  #failures = 0;
  /** When the next attempt may be made, by performance.now(), and what waits for it. */
  #notBefore = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Calls that have not left, in their order, by their id. */
  readonly #unsent = new Map<number, Waiting>();

  constructor(base: string, make: SocketMaker | undefined) {
    this.#url = `${base.replace(/^http/, "ws")}/_frond/socket`;
    this.#make = make ?? ((url) => new WebSocket(url));
  }

  readonly carry: Carry = (call, signal) =>
    new Promise((resolve, reject) => {
      if (this.#closed) throw notConnected("this client was closed");
      const id = ++this.#lastId;
      signal.addEventListener("abort", () => {
        if (this.#unsent.delete(id)) reject(notConnected("no WebSocket came about in time"));
        else this.#giveUp(id, signal.reason === EXPIRED);
      });
      this.#unsent.set(id, { call, resolve, reject });
      if (this.#current?.open === true) this.#flush(this.#current);
      else this.#connect();
    });

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    failAll(this.#unsent, () => notConnected("this client was closed"));
    for (const { socket, inFlight } of this.#lanes) {
      failAll(inFlight, () => unknownOutcome("this client was closed"));
      socket.close();
    }
  }

  /**
   * Nobody waits any more. A socket on which nothing came since the call left may be dead without anybody having been told
   * (a phone that changed its network): the next call takes another one, and those in flight may still be answered.
   */
  #giveUp(id: number, expired: boolean): void {
    for (const lane of this.#lanes) {
      if (!lane.inFlight.has(id)) continue;
      if (expired && lane.unheard.has(id)) {
        lane.retired = true;
        if (this.#current === lane) this.#current = undefined;
      }
      lane.take(id);
    }
  }

  #connect(): void {
    if (this.#current !== undefined || this.#pause !== undefined || this.#closed || this.#unsent.size === 0) return;
    const early = this.#notBefore - performance.now();
    if (early > 0) {
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#connect();
      }, early);
      return;
    }
    try {
      this.#follow(new Lane(this.#make(this.#url)));
    } catch (cause) {
      failAll(this.#unsent, () => notConnected("no WebSocket could be made", cause));
    }
  }

  #follow(lane: Lane): void {
    const { socket } = lane;
    this.#current = lane;
    this.#lanes.add(lane);
    socket.addEventListener("open", () => {
      lane.open = true;
      this.#failures = 0;
      this.#flush(lane);
    });
    socket.addEventListener("message", ({ data }) => hear(lane, data));
    // Its close follows, and tells as much: platforms say nothing about the reason.
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", () => this.#lost(lane));
  }

  #lost(lane: Lane): void {
    this.#lanes.delete(lane);
    failAll(lane.inFlight, () => unknownOutcome("the WebSocket was lost"));
    if (this.#current !== lane) return;
    this.#current = undefined;
    const longest = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#notBefore = performance.now() + Math.random() * longest;
    this.#connect();
  }

  #flush(lane: Lane): void {
    for (const [id, waiting] of this.#unsent) {
      this.#unsent.delete(id);
      lane.send(id, waiting);
    }
  }
}

function hear(lane: Lane, data: unknown): void {
  lane.unheard.clear();
  const answer = read(data);
  const waiting = answer && lane.take(answer.id);
  if (answer === undefined || waiting === undefined) return;
  if ("ok" in answer) waiting.resolve(answer.ok);
  else waiting.reject(toldError(answer.error) ?? unknownOutcome("the answer was not one of frond's"));
}

function failAll(calls: Map<number, Waiting>, error: () => Error): void {
  for (const { reject } of calls.values()) reject(error());
  calls.clear();
}

function read(data: unknown): { id: number; ok?: unknown; error?: unknown } | undefined {
  try {
    const answer = JSON.parse(String(data)) as { id?: unknown } | null;
    return typeof answer?.id === "number" ? (answer as { id: number }) : undefined;
  } catch {
    return undefined;
  }
}
