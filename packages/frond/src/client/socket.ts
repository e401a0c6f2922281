// Calls over one WebSocket: one JSON text frame each, many in flight.
//
// Rule: the socket is made when a call needs it. When it is lost, what was in flight fails with OUTCOME_UNKNOWN and is not
// sent again; calls that had not left wait for the next socket, as long as their own time allows. Attempts follow each
// other with growing, random pauses, so that a restarted server is not met by all its clients at once.
// Rejected: a socket that is kept up while nobody calls (the server would carry it for nothing).

import type { Call, Carry } from "./calls.ts";
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

/** Carries calls to the server at `base`. */
export class SocketCarrier {
  readonly #url: string;
  readonly #make: SocketMaker;
  #socket: ClientSocket | undefined;
  #open = false;
  #closed = false;
  #lastId = 0;
  #failures = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Calls that have not left, in their order, by their id. */
  readonly #unsent = new Map<number, Waiting>();
  /** Calls that have left, by their id. */
  readonly #inFlight = new Map<number, Waiting>();

  constructor(base: string, make: SocketMaker | undefined) {
    this.#url = `${base.replace(/^http/, "ws")}/_frond/socket`;
    this.#make = make ?? ((url) => new WebSocket(url));
  }

  readonly carry: Carry = (call, signal) =>
    new Promise((resolve, reject) => {
      if (this.#closed) throw notConnected("this client was closed");
      const id = ++this.#lastId;
      // Nobody waits any more: it is not sent, and its answer, if one comes, is thrown away.
      signal.addEventListener("abort", () => {
        if (this.#unsent.delete(id)) reject(notConnected("no WebSocket came about in time"));
        this.#inFlight.delete(id);
      });
      this.#unsent.set(id, { call, resolve, reject });
      if (this.#open) this.#flush();
      else this.#connect();
    });

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#socket?.close();
    this.#fail(this.#unsent, () => notConnected("this client was closed"));
    this.#fail(this.#inFlight, () => unknownOutcome("this client was closed"));
  }

  #connect(): void {
    if (this.#socket !== undefined || this.#pause !== undefined || this.#closed) return;
    let socket: ClientSocket;
    try {
      socket = this.#make(this.#url);
    } catch (cause) {
      this.#fail(this.#unsent, () => notConnected("no WebSocket could be made", cause));
      return;
    }
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#open = true;
      this.#failures = 0;
      this.#flush();
    });
    socket.addEventListener("message", ({ data }) => this.#hear(data));
    // Its close follows, and tells as much: platforms say nothing about the reason.
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", () => this.#lost());
  }

  #lost(): void {
    this.#socket = undefined;
    this.#open = false;
    this.#fail(this.#inFlight, () => unknownOutcome("the WebSocket was lost"));
    if (this.#closed) return;
    const longest = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#unsent.size > 0) this.#connect();
    }, Math.random() * longest);
  }

  #flush(): void {
    for (const [id, waiting] of this.#unsent) {
      this.#unsent.delete(id);
      this.#inFlight.set(id, waiting);
      const { args, ...to } = waiting.call;
      this.#socket?.send(`${JSON.stringify({ id, ...to }).slice(0, -1)},"args":${args}}`);
    }
  }

  #hear(data: unknown): void {
    const answer = read(data);
    const waiting = answer && this.#inFlight.get(answer.id);
    if (answer === undefined || waiting === undefined) return;
    this.#inFlight.delete(answer.id);
    if ("ok" in answer) waiting.resolve(answer.ok);
    else waiting.reject(toldError(answer.error) ?? unknownOutcome("the answer was not one of frond's"));
  }

  #fail(calls: Map<number, Waiting>, error: () => Error): void {
    for (const { reject } of calls.values()) reject(error());
    calls.clear();
  }
}

function read(data: unknown): { id: number; ok?: unknown; error?: unknown } | undefined {
  try {
    const answer = JSON.parse(String(data)) as { id?: unknown } | null;
    return typeof answer?.id === "number" ? (answer as { id: number }) : undefined;
  } catch {
    return undefined;
  }
}
