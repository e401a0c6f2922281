// Requests that ask for a WebSocket: from their arrival to the handshake, or to the ordinary answer that they get instead.
//
// Rule: such a request goes the way of every other one (the same refusals, the app's fetch with the light Request, the
// output gate), and whoever accepts it on that way only says who shall have the connection. It opens when the answer
// that came of it leaves; any other answer is written as it is, and the connection is closed behind it.
// The request carries a header of this process's making that names it, and the answer that accepts carries it back: both
// survive being copied (`new Request(url, request)`, a framework that adds headers), which objects do not.
// A page of another host that a browser has open could otherwise use its visitor's cookies, so origins are checked here.

import { randomUUID } from "node:crypto";
import { ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Clock } from "../../clock.ts";
import { FrondError } from "../../errors.ts";
import { LINGER_MS, MAX_SOCKET_MESSAGE_BYTES, SOCKET_CLOSE_MS } from "../../limits.ts";
import { Connections } from "./connection.ts";
import type { Refusal } from "./refusal.ts";
import { declaredBytes } from "./request.ts";

/** Names a request for a WebSocket, and the answer that accepts it. Never the client's own. */
const MARK = "frond-upgrade";

/** Whoever accepts. One of the two is called, once. */
export interface UpgradeTaker {
  /** The subprotocol to agree on, if the client offers it. */
  readonly protocol?: string | undefined;
  opened(ws: WebSocket): void;
  /** Another answer was given, or the client has gone. */
  dropped(): void;
}

const BAD_HANDSHAKE: Refusal = {
  status: 400,
  code: "BAD_HANDSHAKE",
  message: "this is not a well-formed request for a WebSocket",
};
const BAD_VERSION: Refusal = { status: 426, code: "BAD_HANDSHAKE", message: "only version 13 of WebSocket is spoken" };

/** True when `incoming` asks for a WebSocket; other upgrades are answered as if they had not been asked for. */
export function asksForSocket(incoming: IncomingMessage): boolean {
  return incoming.headers.upgrade?.toLowerCase() === "websocket";
}

/** The requests for WebSockets of one front door, and the connections that came of them. */
export class Upgrades {
  readonly connections: Connections;
  readonly #server: WebSocketServer;
  readonly #pending = new Map<string, Upgrade>();
  /** Connections that are no longer node's and not yet, or not, a WebSocket. */
  readonly #between = new Set<Duplex>();
  #current: Upgrade | undefined;

  constructor(clock: Clock) {
    this.connections = new Connections(clock);
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_SOCKET_MESSAGE_BYTES,
      closeTimeout: SOCKET_CLOSE_MS,
      handleProtocols: (offered: Set<string>) => this.#current?.agreed(offered) ?? false,
    };
    this.#server = new WebSocketServer(options);
    this.#server.on("headers", (headers) => headers.push(...(this.#current?.headers ?? [])));
  }

  /** Sockets that are open or asked for. Count. */
  get count(): number {
    return this.connections.count + this.#pending.size;
  }

  /** Takes over a connection from node's server. Undefined: it cannot be answered, and is closed. */
  begin(incoming: IncomingMessage, socket: Duplex, head: Buffer): Upgrade | undefined {
    socket.on("error", () => socket.destroy());
    // Asked for behind a request that is not answered yet: two would write on one connection.
    if ((socket as { _httpMessage?: unknown })._httpMessage) {
      socket.destroy();
      return undefined;
    }
    const upgrade = new Upgrade(this, incoming, socket, head);
    this.#between.add(socket);
    this.#pending.set(upgrade.id, upgrade);
    return upgrade;
  }

  /** The request for a WebSocket that `request` is, or is a copy of; undefined: it is none, or it was answered. */
  pending(request: Request): Upgrade | undefined {
    const id = request.headers.get(MARK);
    return id === null ? undefined : this.#pending.get(id);
  }

  /** For Upgrade. */
  settled(upgrade: Upgrade): void {
    this.#pending.delete(upgrade.id);
  }

  /** For Upgrade: its connection has ended. */
  gone(upgrade: Upgrade): void {
    this.#between.delete(upgrade.socket);
    upgrade.drop();
  }

  /** For Upgrade: completes the handshake. */
  open(upgrade: Upgrade, opened: (ws: WebSocket) => void): void {
    this.#between.delete(upgrade.socket);
    this.#current = upgrade;
    try {
      this.#server.handleUpgrade(upgrade.incoming, upgrade.socket, upgrade.head, opened);
    } finally {
      this.#current = undefined;
    }
  }

  /** Closes all connections with 1012. See {@link Connections.stop}. */
  stop(graceMs: number): Promise<void> {
    return this.connections.stop(graceMs);
  }

  /** Cuts what has not become a connection. */
  cut(): void {
    for (const socket of this.#between) socket.destroy();
  }
}

/** One request for a WebSocket. */
export class Upgrade {
  readonly id = randomUUID();
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  /** For an ordinary answer; the connection is closed behind it. */
  readonly outgoing: ServerResponse;
  /** What the answer adds to the handshake: lines of its head. */
  headers: string[] = [];
  readonly #upgrades: Upgrades;
  readonly #gone = (): void => this.#upgrades.gone(this);
  readonly #drained = (): void => void this.outgoing.emit("drain");
  #taker: UpgradeTaker | undefined;
  #settled = false;

  constructor(upgrades: Upgrades, incoming: IncomingMessage, socket: Duplex, head: Buffer) {
    this.#upgrades = upgrades;
    this.incoming = incoming;
    this.socket = socket;
    this.head = head;
    mark(incoming, this.id);
    this.outgoing = answerOn(incoming, socket);
    socket.on("drain", this.#drained).on("close", this.#gone);
    // Another answer than the one that accepts has left.
    this.outgoing.once("finish", () => this.drop());
  }

  /** Why no WebSocket can come of this request, if so. */
  get problem(): Refusal | undefined {
    const { headers, method } = this.incoming;
    const key = headers["sec-websocket-key"];
    if (headers["sec-websocket-version"] !== "13") {
      this.outgoing.setHeader("sec-websocket-version", "13");
      return BAD_VERSION;
    }
    const wellFormed = method === "GET" && key !== undefined && KEY.test(key) && declaredBytes(this.incoming) === 0;
    return wellFormed ? undefined : BAD_HANDSHAKE;
  }

  /** False when a page of another host asks which `origins` does not name. Programs that are no browsers state no origin. */
  allows(origins: "any" | readonly string[] | undefined): boolean {
    const { origin, host = "" } = this.incoming.headers;
    if (origin === undefined || origins === "any") return true;
    if (!URL.canParse(origin)) return false;
    const asked = new URL(origin);
    // Of schemes that it does not know (`app://`), URL says for each that its origin is "null": those are compared as texts.
    if (origins?.some((one) => one === origin || (isWeb(asked) && new URL(one).origin === asked.origin))) return true;
    if (!isWeb(asked)) return false;
    // The target is a whole URL where a trusted proxy states another host.
    const target = this.incoming.url ?? "/";
    const base = `http://${host}`;
    if (!URL.canParse(target, base)) return false;
    const own = new URL(target, base);
    return own.host === asked.host && (own.protocol === "http:" || asked.protocol === "https:");
  }

  /** The response that opens the connection for `taker`. Throws BAD_OPTION when the request was accepted before. */
  accept(taker: UpgradeTaker): Response {
    if (this.#taker !== undefined) throw new FrondError("BAD_OPTION", "this request was accepted before");
    this.#taker = taker;
    return new Response(null, { headers: { [MARK]: this.id } });
  }

  /** Takes the acceptance back. */
  withdraw(): void {
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.dropped();
  }

  /**
   * Opens the connection if `response` is what accepted it; false: it is an ordinary answer, to be written. Throws TX_ABORTED
   * when the acceptance was taken back.
   */
  take(response: Response): boolean {
    const taker = this.#taker;
    if (response.headers.get(MARK) !== this.id) {
      this.drop();
      return false;
    }
    if (taker === undefined) {
      throw new FrondError("TX_ABORTED", "the transaction in which this WebSocket was accepted was rolled back");
    }
    this.#settle();
    // Nothing of the request is kept for as long as the connection lives.
    this.socket.off("drain", this.#drained).off("close", this.#gone);
    this.headers = addedHeaders(response.headers);
    this.outgoing.detachSocket(this.socket as Parameters<ServerResponse["detachSocket"]>[0]);
    let open = false;
    this.#upgrades.open(this, (ws) => {
      open = true;
      taker.opened(ws);
    });
    // The client has gone meanwhile, or offers what is no list of protocols: ws has answered.
    if (!open) taker.dropped();
    return true;
  }

  /** Nothing comes of it. */
  drop(): void {
    const taker = this.#taker;
    if (this.#settle()) taker?.dropped();
  }

  agreed(offered: Set<string>): string | false {
    const protocol = this.#taker?.protocol;
    return protocol !== undefined && offered.has(protocol) ? protocol : false;
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#upgrades.settled(this);
    return true;
  }
}

function isWeb({ protocol }: URL): boolean {
  return protocol === "https:" || protocol === "http:";
}

const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Puts our mark on a request, in place of one that its client made up. */
function mark(incoming: IncomingMessage, id: string): void {
  const raw: string[] = [];
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const name = incoming.rawHeaders[i] as string;
    if (name.toLowerCase() !== MARK) raw.push(name, incoming.rawHeaders[i + 1] as string);
  }
  raw.push(MARK, id);
  incoming.rawHeaders = raw;
  incoming.headers[MARK] = id;
}

/** What node's server does for an answer, and no longer does on a connection that was to be upgraded. */
function answerOn(incoming: IncomingMessage, socket: Duplex): ServerResponse {
  const outgoing = new ServerResponse(incoming);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
  outgoing.once("finish", () => {
    // Read on for a moment, or what the client still sends would reset the connection and destroy the answer.
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  });
  return outgoing;
}

/** Headers that belong to the handshake itself, or to a body that a handshake does not have. */
const OWN = /^(?:connection|upgrade|keep-alive|transfer-encoding|content-.*|sec-websocket-.*|frond-upgrade)$/;

function addedHeaders(headers: Headers): string[] {
  const lines: string[] = [];
  for (const [name, value] of headers) if (!OWN.test(name)) lines.push(`${name}: ${value}`);
  return lines;
}
