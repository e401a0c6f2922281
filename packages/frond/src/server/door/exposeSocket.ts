// Calls from outside over a WebSocket: GET /_frond/socket, then one JSON text frame for each call and each answer.
//
// Rule: a socket changes nothing about who may call: each call is asked about by itself, with the headers of the handshake.
// Calls of one socket run side by side, at most MAX_SOCKET_CALLS, the ones whose answers the client has not read yet
// included, and none begins while MAX_SOCKET_BUFFER_BYTES of answers wait; then the socket is read no further. Of those that
// came together a few begin in each turn, so that it is seen how large their answers are.
// A client that reads nothing for too long is cut. A frame that is no call
// ends the socket with a reason, since nobody knows which call it was; arguments that mean nothing fail that call alone.
// {"id": 1, "kind", "name", "verb", "args": [...]} is answered by {"id": 1, "ok": ...} or {"id": 1, "error": {...}}.
// Rejected: headers in a first frame (a proxy that strips or sets headers would not see them), binary frames.

import type { WebSocket } from "ws";
import { decode } from "../../client/values.ts";
import type { Clock } from "../../clock.ts";
import { MAX_SOCKET_BUFFER_BYTES, MAX_SOCKET_CALLS, WRITE_TIMEOUT_MS } from "../../limits.ts";
import type { ConnectionOwner } from "./connection.ts";
import { type Asker, badArguments, type ExposedCalls, failure, type Outcome } from "./expose.ts";
import { isAllowedOrigin, NO_ORIGIN, respond } from "./exposeHttp.ts";
import type { RequestInfo } from "./request.ts";
import type { Upgrades } from "./upgrade.ts";

const NO_UPGRADE = failure(426, "UPGRADE_REQUIRED", "calls over a WebSocket begin with its handshake");

/** Answers requests for the WebSocket of calls. */
export function socketCalls(
  calls: ExposedCalls,
  upgrades: Upgrades,
  clock: Clock,
): (request: Request, info: RequestInfo) => Response {
  return (request, info) => {
    const { headers } = request;
    const { origins } = calls.exposure;
    const upgrade = upgrades.pending(request);
    if (upgrade === undefined) return respond(NO_UPGRADE);
    if (!isAllowedOrigin(headers.get("origin"), new URL(request.url), origins)) return respond(NO_ORIGIN);
    // What is kept for as long as the socket lives is small: no request, no response.
    const { remoteAddress, requestId } = info;
    const asker = { headers: new Headers(headers), remoteAddress, requestId };
    return upgrade.accept({
      opened(ws) {
        const feed = new CallFeed(calls, asker, ws, clock);
        upgrades.connections.open(ws, feed);
      },
      dropped() {},
    });
  };
}

/** Count. */
const CALLS_PER_TURN = 8;

interface Handshake {
  readonly headers: Headers;
  readonly remoteAddress: string;
  readonly requestId: string;
}

interface Frame {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  readonly args: readonly unknown[];
}

/** The calls of one socket. */
class CallFeed implements ConnectionOwner {
  readonly #calls: ExposedCalls;
  readonly #handshake: Handshake;
  readonly #ws: WebSocket;
  readonly #clock: Clock;
  /** Calls that came while too many were in work, in their order. */
  readonly #waiting: Frame[] = [];
  /** Calls whose answers the client has not taken: those in work, and those on their way. Count. */
  #open = 0;
  /** Answers on their way. Count. */
  #unread = 0;
  /** Calls that began in this turn of the event loop. Count. */
  #begun = 0;
  /** Set while nothing is read for fear of what waits: cancels the cut. */
  #patience: (() => void) | undefined;
  #ending: { readonly code: number; readonly reason: string } | undefined;

  constructor(calls: ExposedCalls, handshake: Handshake, ws: WebSocket, clock: Clock) {
    this.#calls = calls;
    this.#handshake = handshake;
    this.#ws = ws;
    this.#clock = clock;
  }

  get busy(): boolean {
    return this.#open > this.#unread;
  }

  message(data: string | ArrayBuffer): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    if (typeof data !== "string") return this.#ws.close(1003, "calls are text frames");
    let json: unknown;
    try {
      json = JSON.parse(data);
    } catch {
      return this.#ws.close(1007, "a frame is not JSON");
    }
    const frame = frameOf(json);
    if (frame === undefined) return this.#ws.close(1008, 'a frame is not {"id", "kind", "name", "verb", "args"}');
    if (this.#ending !== undefined) return this.#refuse(frame);
    this.#waiting.push(frame);
    this.#pump();
  }

  failed(): void {
    // Its end follows, and says as much as can be done.
  }

  ended(): void {
    this.#waiting.length = 0;
    this.#patience?.();
  }

  /** What is in work is answered; what comes now is not begun. */
  stopping(code: number, reason: string): void {
    this.#ending = { code, reason };
    for (const frame of this.#waiting.splice(0)) this.#refuse(frame);
    this.#ws.resume();
    if (this.#open === 0) this.#ws.close(code, reason);
  }

  /** Begins what may begin, and reads on if that was all. */
  #pump(): void {
    while (this.#begun < CALLS_PER_TURN && !this.#isFull) {
      const next = this.#waiting.shift();
      if (next === undefined) return this.#ws.isPaused ? this.#ws.resume() : undefined;
      this.#begin(next);
    }
    this.#ws.pause();
  }

  get #isFull(): boolean {
    return this.#open >= MAX_SOCKET_CALLS || this.#ws.bufferedAmount > MAX_SOCKET_BUFFER_BYTES;
  }

  #begin(frame: Frame): void {
    this.#open += 1;
    if (this.#begun++ === 0) {
      setImmediate(() => {
        this.#begun = 0;
        this.#pump();
      });
    }
    void this.#answer(frame).then((outcome) => this.#send(frame.id, outcome));
  }

  #answer({ id, kind, name, verb, args }: Frame): Promise<Outcome> {
    const { headers, remoteAddress, requestId } = this.#handshake;
    const asker: Asker = { headers, info: { remoteAddress, requestId: `${requestId}.${id}` } };
    try {
      return this.#calls.answer({ kind, name, verb, args: args.map((arg) => decode(arg, 1)) }, asker);
    } catch (error) {
      return Promise.resolve(badArguments((error as Error).message));
    }
  }

  #refuse({ id }: Frame): void {
    this.#open += 1;
    this.#send(id, failure(503, "STOPPING", "this node is stopping; try again", true));
  }

  #send(id: number, outcome: Outcome): void {
    const text = "ok" in outcome ? `{"id":${id},"ok":${outcome.ok}}` : JSON.stringify({ id, error: outcome.error });
    this.#unread += 1;
    // Called when the bytes have left this process, and at once when the socket is no longer open.
    this.#ws.send(text, () => this.#taken());
    if (this.#unread > 0 && this.#isFull && this.#patience === undefined) this.#wait();
  }

  /** Answers pile up: the client has a while to take one. */
  #wait(): void {
    this.#patience = this.#clock.after(WRITE_TIMEOUT_MS, () => this.#ws.terminate());
  }

  #taken(): void {
    this.#open -= 1;
    this.#unread -= 1;
    this.#patience?.();
    this.#patience = undefined;
    if (this.#unread > 0 && this.#isFull) this.#wait();
    this.#pump();
    if (this.#ending !== undefined && this.#open === 0) this.#ws.close(this.#ending.code, this.#ending.reason);
  }
}

function frameOf(json: unknown): Frame | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { id, kind, name, verb, args } = json as Partial<Record<keyof Frame, unknown>>;
  const named = typeof kind === "string" && typeof name === "string" && typeof verb === "string";
  if (!named || !Number.isSafeInteger(id) || !Array.isArray(args)) return undefined;
  return { id: id as number, kind, name, verb, args };
}
