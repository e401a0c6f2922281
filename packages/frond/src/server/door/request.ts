// What the front door knows of a request before the app sees it.
//
// Rule: cheap to make, since every request makes one; what costs something (an id, an address) is made when asked for.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Upgrade } from "./upgrade.ts";
import type { Audience } from "./answer.ts";

/** What a handler may know of a request beyond the Request itself. */
export interface RequestInfo {
  /** Address of the client; with trusted proxies, as they state it. Empty once the client has gone unasked. */
  readonly remoteAddress: string;
  /** Names this request in the log and in answers that tell of a failure. */
  readonly requestId: string;
  /** Who hears the answer; for the handler to set. */
  audience?: Audience | undefined;
}

/**
 * One request and its answer, from the first check to the last byte.
 *
 * The adapter that makes the light Request is given this in place of node's response: it registers here how to abort the
 * Request, and what it writes goes nowhere, since the answer is written by the front door.
 */
export class Exchange implements RequestInfo {
  static #count = 0;
  static readonly #prefix = Math.floor(Math.random() * 36 ** 6).toString(36);
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** The handler has been called. */
  begun = false;
  /** It calls an exposed verb, and is not for the app's `fetch`. */
  isCall = false;
  /** Set when it asks for a WebSocket. */
  upgrade: Upgrade | undefined = undefined;
  /** Who hears the answer: set by the handler that knows what it tells. */
  audience: Audience | undefined;
  /** Of two parts, the handler and the answer on the wire, those in work: at 0 the request is over. */
  pending = 1;
  #id: string | undefined;
  readonly #forwarded: string | undefined;
  #adapterClosed: (() => void) | undefined = undefined;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, forwarded: string | undefined) {
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.#forwarded = forwarded;
  }

  get remoteAddress(): string {
    return this.#forwarded ?? peerAddress(this.incoming.socket);
  }

  get requestId(): string {
    return (this.#id ??= `${Exchange.#prefix}-${(++Exchange.#count).toString(36)}`);
  }

  /** The answer has left, or its client has gone: the adapter then aborts the Request's signal, in the second case. */
  closed(): void {
    this.#adapterClosed?.();
  }

  // What the adapter uses of a response.
  on(_close: string, listener: () => void): void {
    this.#adapterClosed = listener;
  }

  get writableFinished(): boolean {
    return this.outgoing.writableFinished;
  }

  writeHead(): void {}

  end(): void {}
}

/** Address of the other end of `socket`; IPv4 in its own form where the system maps it into IPv6. */
export function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress ?? "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** Bytes of body that the header states: 0 without a body, undefined when it comes in chunks. */
export function declaredBytes(incoming: IncomingMessage): number | undefined {
  const { headers } = incoming;
  if (headers["transfer-encoding"] !== undefined) return undefined;
  const length = headers["content-length"];
  return length === undefined ? 0 : Number(length);
}

/** True when the client stated two hosts (two programs could then read two different requests), or none in HTTP/1.1. */
export function hasWrongHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  return hosts > 1 || (hosts === 0 && httpVersion !== "1.0");
}

/** What a line in the log says of a request: never its query, which may hold secrets. */
export function logFields(exchange: Exchange): Record<string, unknown> {
  const { method, url = "" } = exchange.incoming;
  const query = url.indexOf("?");
  return { request: exchange.requestId, method, path: query === -1 ? url : url.slice(0, query) };
}
