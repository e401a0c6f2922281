// What the front door knows of a request before the app sees it.
//
// Rule: cheap to make, since every request makes one; what costs something (an id, an address) is made when asked for.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** What a handler may know of a request beyond the Request itself. */
export interface RequestInfo {
  /** Address of the client; with trusted proxies, as they state it. Empty once the client has gone unasked. */
  readonly remoteAddress: string;
  /** Names this request in the log and in answers that tell of a failure. */
  readonly requestId: string;
}

export class Info implements RequestInfo {
  static #count = 0;
  static readonly #prefix = Math.floor(Math.random() * 36 ** 6).toString(36);
  #id: string | undefined;
  readonly #socket: Socket;
  readonly #forwarded: string | undefined;
  /** Of two parts, the handler and the answer on the wire, those in work: at 0 the request is over. */
  pending = 1;

  constructor(socket: Socket, forwarded: string | undefined) {
    this.#socket = socket;
    this.#forwarded = forwarded;
  }

  get remoteAddress(): string {
    return this.#forwarded ?? peerAddress(this.#socket);
  }

  get requestId(): string {
    return (this.#id ??= `${Info.#prefix}-${(++Info.#count).toString(36)}`);
  }
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

/** True when the client stated two hosts: two programs could then read two different requests. */
export function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  return hosts > 1;
}

/** What a line in the log says of a request: never its query, which may hold secrets. */
export function logFields(incoming: IncomingMessage, info: RequestInfo): Record<string, unknown> {
  const { method, url = "" } = incoming;
  const query = url.indexOf("?");
  return { request: info.requestId, method, path: query === -1 ? url : url.slice(0, query) };
}
