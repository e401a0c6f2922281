// The front door: HTTP/1.1 on node:http, requests and answers in the shape of fetch.
//
// Rule: what could hurt the process is refused before the app sees it, by bounds that limits.ts names: header, target,
// body, open requests, connections, times. `/_frond/health` and `/_frond/ready` are answered before any of it. Whatever
// a handler does, its client gets a well-formed answer or a cut connection, and the log says which and why.
//
// The way of a request is hot. Per request there is one Exchange, the adapter's lazy Request, and what the handler
// makes; no Headers object, no stream and no AbortController unless somebody asks for one.
// Answers that are ready in one turn of the event loop leave together at its end: handlers then run one after the other
// with their code and data at hand, and a client that waits for many of them is woken once.
// Rejected: native Request and Response (two thirds of the throughput), a parser of our own (twice as fast as node's,
// and ours to keep safe for ever).

import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { AddressInfo, Socket } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FrondError } from "../../errors.ts";
import { LINGER_MS, MAX_CALL_BYTES } from "../../limits.ts";
import { isResponse, useLightGlobals, writeResponse } from "./answer.ts";
import { boundBody, lingerBeforeClose } from "./body.ts";
import { brokenBody, refuseBrokenRequest, refuseTunnel, waitsItsTurn } from "./broken.ts";
import { isCallTarget } from "./exposeHttp.ts";
import { steadyLog, type Told } from "./floods.ts";
import type { GuardedDoor } from "../watch/guard.ts";
import type { HostCheck } from "./hostNames.ts";
import { DEFAULT_LIMITS, type HttpLimits } from "./httpLimits.ts";
import { listenError } from "./listen.ts";
import type { Logger } from "../logger.ts";
import { answerReserved, type DoorState, RESERVED, unready } from "./reserved.ts";
import { applyForwarded } from "./proxy.ts";
import type { TrustProxy } from "./proxy.ts";
import { OVERLOADED, STOPPING, refusalFor, toldRefusal, writeRefusal } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import { Exchange, declaredBytes, hasWrongHost, logFields } from "./request.ts";
import type { RequestInfo } from "./request.ts";
import { asksForSocket, type Upgrade, type Upgrades } from "./upgrade.ts";
import { Warnings } from "../warnings.ts";

export type HttpHandler = (request: Request, info: RequestInfo) => Response | Promise<Response>;

export interface HttpOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly handler: HttpHandler;
  /** Answers calls of exposed verbs, at /_frond/call/ and /_frond/socket. Undefined: there is nothing. */
  readonly calls?: HttpHandler | undefined;
  /** Takes requests for WebSockets. Undefined: they are refused. */
  readonly upgrades?: Upgrades | undefined;
  readonly log: Logger;
  readonly trustProxy?: TrustProxy;
  readonly limits?: Partial<HttpLimits>;
  /** Under `frond dev`: clients learn why a request failed, and the log how to begin anew. */
  readonly tellFailures?: { readonly dataDirectory: string };
  /** Which Host headers are answered; undefined: all. */
  readonly allowsHost?: HostCheck | undefined;
  readonly state: () => DoorState;
}

export interface HttpFront extends GuardedDoor {
  readonly address: { readonly host: string; readonly port: number };
  /** Requests being worked on: until the handler is done and the answer has left or its client has gone. */
  readonly openRequests: number;
  /** Stops accepting, ends idle connections, waits up to `graceMs` for requests in work, then cuts what is left. */
  stop(graceMs: number): Promise<void>;
}

/** Opens the front door. Throws LISTEN_FAILED when the address cannot be had. Installs the light globals. */
export async function listenHttp(options: HttpOptions): Promise<HttpFront> {
  const front = new Front(options);
  await front.listen();
  return front;
}

const URL_TOO_LONG: Refusal = { status: 414, code: "URL_TOO_LONG", message: "the request target is too long" };
const BODY_TOO_LARGE: Refusal = { status: 413, code: "BODY_TOO_LARGE", message: "the request body is too large" };
const BAD_HOST: Refusal = {
  status: 400,
  code: "BAD_HOST",
  message: "the Host header or the request target is not valid",
};
const FOREIGN_HOST: Refusal = {
  status: 403,
  code: "HOST_NOT_ALLOWED",
  message: "frond dev answers to IP addresses, localhost and names below it; others are named by --allow-host NAME",
};
const NO_UPGRADE: Refusal = { status: 501, code: "NO_WEBSOCKET", message: "this server speaks no WebSocket" };

const EXCHANGE = Symbol("exchange");
type Outgoing = ServerResponse & { [EXCHANGE]?: Exchange };

class Front implements HttpFront {
  readonly #options: HttpOptions;
  readonly #limits: HttpLimits;
  readonly #server: Server;
  readonly #adapter: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;
  readonly #onAnswerClosed: (this: Outgoing) => void;
  readonly #warnings: Warnings;
  /** For what clients can make happen. */
  readonly #log: Told;
  readonly #sockets = new Set<Socket>();
  #open = 0;
  /** The request whose handler is on the stack. */
  #calling: Exchange | undefined;
  #ready: { readonly response: Response; readonly exchange: Exchange }[] = [];
  #stopped: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(options: HttpOptions) {
    this.#options = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#limits = limits;
    this.#warnings = new Warnings(options.log);
    this.#log = steadyLog(options.log);
    useLightGlobals();
    // The adapter is told that there is nothing to write: the answer is ours (see Exchange), and a promise that is
    // settled already is what it waits for at the least cost.
    const nothing = new Response(null);
    const settled = Promise.resolve(nothing);
    const run = (request: Request, exchange: Exchange): void => this.#run(request, exchange);
    this.#adapter = getRequestListener(
      (request, env) => {
        run(request, env.outgoing as unknown as Exchange);
        return settled;
      },
      { hostname: "localhost", errorHandler: () => nothing },
    );
    const partDone = (exchange: Exchange): void => this.#partDone(exchange);
    this.#onAnswerClosed = function onAnswerClosed() {
      const exchange = this[EXCHANGE] as Exchange;
      exchange.closed();
      partDone(exchange);
    };
    const server = createServer({
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headerTimeoutMs,
      requestTimeout: Math.max(limits.requestTimeoutMs, limits.headerTimeoutMs),
      keepAliveTimeout: limits.keepAliveMs,
      // Refused by hasWrongHost, in the form of every other refusal.
      requireHostHeader: false,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(limits.headerTimeoutMs / 2)),
      shouldUpgradeCallback: (incoming) => options.upgrades !== undefined && asksForSocket(incoming),
    });
    server.on("upgrade", (incoming, socket, head) => this.#onUpgrade(incoming, socket, head));
    server.maxConnections = limits.connections;
    server.on("request", (incoming, outgoing) => this.#onRequest(incoming, outgoing as Outgoing, false));
    server.on("checkContinue", (incoming, outgoing) => this.#onRequest(incoming, outgoing as Outgoing, true));
    // Other expectations than 100-continue may be passed over; node's own refusal is not in the form of ours.
    server.on("checkExpectation", (incoming, outgoing) => this.#onRequest(incoming, outgoing as Outgoing, false));
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("clientError", refuseBrokenRequest);
    server.on("connect", refuseTunnel);
    server.on("drop", () => this.#warnings.count("connections were closed: there are too many"));
    this.#server = server;
  }

  get openRequests(): number {
    return this.#open;
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners("error");
        this.#server.on("error", (error) => this.#options.log.error({ err: error }, "the front door failed"));
        resolve();
      });
    });
  }

  stop(graceMs: number): Promise<void> {
    return (this.#stopped ??= this.#stop(graceMs));
  }

  async #stop(graceMs: number): Promise<void> {
    const { upgrades } = this.#options;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // They go on for as long as they like, so nobody waits for their end: their clients come again.
    const left = upgrades?.stop(graceMs);
    if (this.#open > 0) {
      const idle = new Promise<void>((resolve) => (this.#whenIdle = resolve));
      const grace = new AbortController();
      await Promise.race([idle, sleep(graceMs, undefined, { signal: grace.signal }).catch(() => {})]);
      grace.abort();
      if (this.#open > 0) this.#options.log.warn({ requests: this.#open }, "requests were cut: the grace has passed");
    }
    await left;
    upgrades?.cut();
    this.#server.closeAllConnections();
    await closed;
  }

  /** The connection is no longer node's; the request goes the way of every other one. */
  #onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upgrade = this.#options.upgrades?.begin(incoming, socket, head);
    if (upgrade === undefined) socket.destroy();
    else this.#onRequest(incoming, upgrade.outgoing, false, upgrade);
  }

  brokenOff(error: FrondError): void {
    const exchange = this.#calling;
    this.#calling = undefined;
    if (exchange === undefined) return;
    // What was on the stack was called by the parser of the connection, which reads nothing any more.
    exchange.outgoing.shouldKeepAlive = false;
    this.#fail(error, exchange);
    this.#partDone(exchange);
  }

  shaken(error: FrondError, ms: number): void {
    if (this.#ready.length > 0) setImmediate(this.#answerReady);
    const doubtful = [...this.#sockets].map((socket) => exchangeOf(socket)).filter((one) => one !== undefined);
    setTimeout(() => {
      for (const exchange of doubtful) {
        const { outgoing } = exchange;
        if (outgoing.headersSent || outgoing.destroyed) continue;
        this.#fail(error, exchange);
        this.#partDone(exchange);
      }
    }, ms).unref();
  }

  #onRequest(incoming: IncomingMessage, outgoing: Outgoing, expectsContinue: boolean, upgrade?: Upgrade): void {
    // After a refusal that closes, what the client had sent beyond it is thrown away.
    if (incoming.socket.writableEnded) return;
    if (outgoing.socket === null) {
      // One packet holds hundreds of requests, whose answers would all be made and kept until the first has left.
      waitsItsTurn(incoming, outgoing);
      outgoing.once("socket", () =>
        process.nextTick(() => {
          const broken = brokenBody(incoming);
          if (broken === undefined) this.#onRequest(incoming, outgoing, expectsContinue);
          else this.#refuse(incoming, outgoing, broken, true);
        }),
      );
      return;
    }
    const target = incoming.url as string;
    const isCall = this.#options.calls !== undefined && isCallTarget(target);
    if (!isCall && target.startsWith(RESERVED)) return this.#answerReserved(target, incoming, outgoing);
    const bodyBytes = declaredBytes(incoming);
    const mostBytes = isCall ? Math.min(MAX_CALL_BYTES, this.#limits.bodyBytes) : this.#limits.bodyBytes;
    const refusal = this.#refusal(incoming, target, bodyBytes, mostBytes) ?? this.#noSocket(upgrade);
    if (refusal) {
      if (refusal.status === 503 || refusal === FOREIGN_HOST)
        this.#warnings.count(`requests were refused: ${refusal.code}`);
      return this.#refuse(incoming, outgoing, refusal, bodyBytes !== 0);
    }
    if (this.#stopped) outgoing.shouldKeepAlive = false;
    if (expectsContinue) outgoing.writeContinue();
    const exchange = new Exchange(incoming, outgoing, applyForwarded(incoming, this.#options.trustProxy));
    exchange.isCall = isCall;
    exchange.upgrade = upgrade;
    outgoing[EXCHANGE] = exchange;
    outgoing.on("close", this.#onAnswerClosed);
    this.#open++;
    if (bodyBytes === undefined) {
      boundBody(incoming, mostBytes, () => {
        if (!outgoing.headersSent) this.#refuse(incoming, outgoing, BODY_TOO_LARGE, true);
        else outgoing.destroy();
      });
    }
    void this.#adapter(incoming, exchange as unknown as ServerResponse);
    // It makes the Request and calls the handler at once, or finds that Host and target are no URL.
    if (!exchange.begun) this.#refuse(incoming, outgoing, BAD_HOST, bodyBytes !== 0);
  }

  /** Why this request is not for the app, if so. `bodyBytes` undefined = not stated (chunked). */
  #refusal(
    incoming: IncomingMessage,
    target: string,
    bodyBytes: number | undefined,
    mostBytes: number,
  ): Refusal | undefined {
    const limits = this.#limits;
    if (target.length > limits.urlBytes) return URL_TOO_LONG;
    const { refuse } = this.#options.state();
    if (refuse !== undefined) return refuse === "stopping" ? STOPPING : OVERLOADED;
    if (this.#open >= limits.openRequests) return OVERLOADED;
    // A request that waited its turn has chunks of its body already.
    if ((bodyBytes ?? incoming.readableLength) > mostBytes) return BODY_TOO_LARGE;
    if (this.#options.upgrades === undefined && asksForSocket(incoming)) return NO_UPGRADE;
    if (hasWrongHost(incoming)) return BAD_HOST;
    return this.#options.allowsHost?.(incoming.headers.host) === false ? FOREIGN_HOST : undefined;
  }

  /** Why a WebSocket cannot be opened, if so. */
  #noSocket(upgrade: Upgrade | undefined): Refusal | undefined {
    if (upgrade === undefined) return undefined;
    if (this.#stopped) return STOPPING;
    const { upgrades } = this.#options;
    if (upgrades !== undefined && upgrades.count > this.#limits.sockets) return OVERLOADED;
    return upgrade.problem;
  }

  #refuse(incoming: IncomingMessage, outgoing: ServerResponse, refusal: Refusal, hasBody: boolean): void {
    if (hasBody || this.#stopped || refusal.status === 501) {
      outgoing.shouldKeepAlive = false;
      lingerBeforeClose(incoming.socket, LINGER_MS);
    }
    writeRefusal(outgoing, refusal);
  }

  #answerReserved(target: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (this.#stopped) outgoing.shouldKeepAlive = false;
    const reason = this.#stopped ? "stopping" : unready(this.#options.state());
    const refusal = answerReserved(target, incoming.method, outgoing, reason);
    if (refusal !== undefined) this.#refuse(incoming, outgoing, refusal, declaredBytes(incoming) !== 0);
  }

  #run(request: Request, exchange: Exchange): void {
    exchange.begun = true;
    exchange.pending++;
    try {
      const { handler, calls = handler } = this.#options;
      this.#calling = exchange;
      const result = exchange.isCall ? calls(request, exchange) : handler(request, exchange);
      this.#calling = undefined;
      if (typeof (result as Promise<Response>)?.then === "function") {
        this.#settle(result as Promise<Response>, exchange);
        return;
      }
      this.#answer(result as Response, exchange);
    } catch (error) {
      this.#calling = undefined;
      this.#fail(error, exchange);
    }
    this.#partDone(exchange);
  }

  /** Answers that are ready in one turn of the event loop leave together at its end (see the head of the file). */
  #settle(result: Promise<Response>, exchange: Exchange): void {
    result.then(
      (response) => {
        if (this.#ready.push({ response, exchange }) === 1) setImmediate(this.#answerReady);
      },
      (error: unknown) => {
        this.#fail(error, exchange);
        this.#partDone(exchange);
      },
    );
  }

  readonly #answerReady = (): void => {
    const ready = this.#ready;
    this.#ready = [];
    for (const { response, exchange } of ready) {
      try {
        this.#answer(response, exchange);
      } catch (error) {
        this.#fail(error, exchange);
      }
      this.#partDone(exchange);
    }
  };

  #answer(response: Response, exchange: Exchange): void {
    if (!isResponse(response)) throw new TypeError(`the handler returned ${nameOf(response)} and not a Response`);
    const { outgoing, upgrade } = exchange;
    if (outgoing.headersSent || outgoing.destroyed) {
      // The client has gone, or was refused in the middle of its body: nobody reads this answer.
      if (!response.bodyUsed) void response.body?.cancel().catch(() => {});
      return;
    }
    if (this.#stopped) outgoing.shouldKeepAlive = false;
    if (upgrade !== undefined) {
      if (this.#stopped) return writeRefusal(outgoing, STOPPING);
      // An open socket is no open request: what is on the wire now has no end.
      if (upgrade.take(response)) return this.#partDone(exchange);
    }
    const { status } = response;
    const streaming = writeResponse(response, outgoing, exchange.audience);
    if (exchange.isCall) {
      if (status === 503) this.#warnings.count("calls from outside failed for now");
    } else if (status >= 500) {
      this.#log.warn({ ...logFields(exchange), status }, "the app answered with a failure");
    }
    streaming?.catch((error: unknown) => {
      const message = "a response body failed; the connection is cut";
      this.#log.error({ ...logFields(exchange), err: error }, message);
      outgoing.destroy();
    });
  }

  #fail(error: unknown, exchange: Exchange): void {
    const { outgoing } = exchange;
    const { tellFailures } = this.#options;
    const refusal = tellFailures ? toldRefusal(error) : refusalFor(error);
    const fields = { ...logFields(exchange), status: refusal.status, err: error };
    const hint = tellFailures && MISFIT.has(refusal.code) ? anew(tellFailures.dataDirectory) : "";
    if (refusal.status === 500 || hint !== "") this.#log.error(fields, `a request failed${hint}`);
    else if (refusal.status === 503) this.#warnings.count(`requests failed for now: ${refusal.code}`);
    if (outgoing.headersSent || outgoing.destroyed) return;
    if (this.#stopped) outgoing.shouldKeepAlive = false;
    writeRefusal(outgoing, refusal, exchange.requestId);
  }

  #partDone(exchange: Exchange): void {
    // Below 0: it was given up for lost, and came to an end after all.
    if (--exchange.pending !== 0) return;
    this.#open--;
    if (this.#open === 0) this.#whenIdle?.();
  }
}

/** The request in work on a connection. */
function exchangeOf(socket: Socket): Exchange | undefined {
  // What node knows of an answer in work.
  return (socket as { _httpMessage?: Outgoing | null })._httpMessage?.[EXCHANGE];
}

/** What happens to a migration while it is written, and to nothing that is served for good. */
const MISFIT: ReadonlySet<string> = new Set(["MIGRATION_DRIFT", "SCHEMA_NEWER"]);

function anew(dataDirectory: string): string {
  return `: put the migrations back, or remove ${path.relative("", dataDirectory) || "."} to begin anew`;
}

function nameOf(value: unknown): string {
  if (value === null || typeof value !== "object") return String(value);
  return `an object of class ${value.constructor?.name ?? "unknown"}`;
}
