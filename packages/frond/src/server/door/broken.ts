// Bytes that node could not read as a request: answered in their turn, then the connection ends.
//
// Rule: an answer stands for one request. Requests that were read before the broken bytes are answered first; an early
// complaint would be taken for the answer to one of them, whose effect may be real. What follows is never read.
// Rejected: cutting the connection at once (a client that sent three requests and one mistake would not learn of the three).

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { LINGER_MS } from "../../limits.ts";
import type { Refusal } from "./refusal.ts";

const TIMED_OUT: Refusal = { status: 408, code: "TIMED_OUT", message: "the request did not arrive in time" };
const MALFORMED: Refusal = { status: 400, code: "BAD_REQUEST", message: "this is not a well-formed HTTP/1.1 request" };
const HEADER_TOO_LARGE: Refusal = {
  status: 431,
  code: "HEADER_TOO_LARGE",
  message: "the request header is larger than this server accepts",
};
const BODY_MALFORMED: Refusal = { status: 413, code: "BODY_TOO_LARGE", message: "the chunk extensions are too long" };
const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  413: "Content Too Large",
  431: "Request Header Fields Too Large",
};

const LAST = Symbol("last answer that waits");
const BROKEN = Symbol("why the connection ends");
type Line = Duplex & {
  [LAST]?: ServerResponse;
  [BROKEN]?: Refusal;
  /** Node's own: the answer whose turn it is. */
  _httpMessage?: ServerResponse | null;
};

/** Notes that `outgoing` waits for earlier answers of its connection. */
export function waitsItsTurn(incoming: IncomingMessage, outgoing: ServerResponse): void {
  (incoming.socket as Line)[LAST] = outgoing;
}

/** What to answer a request that has waited, and whose body turned out to be broken. */
export function brokenBody(incoming: IncomingMessage): Refusal | undefined {
  return incoming.complete ? undefined : (incoming.socket as Line)[BROKEN];
}

/** For "clientError": answers what node could not read, behind the answers that are due before. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Line): void {
  const refusal = refusalOf(error.code ?? "");
  const last = lastAnswer(socket);
  if (refusal === undefined || last === undefined || !socket.writable) return answerNow(socket, refusal);
  // The same bytes are complained about again and again.
  if (socket[BROKEN] !== undefined) return;
  const inItsBody = !last.req.complete;
  const isItsTurn = last === socket._httpMessage;
  if (inItsBody && isItsTurn) return answerNow(socket, refusal);
  socket[BROKEN] = refusal;
  if (!inItsBody) last.once("close", () => answerNow(socket, refusal));
}

/** For "connect": nothing is tunnelled here. Node has let go of the connection and of its errors. */
export function refuseTunnel(_incoming: IncomingMessage, socket: Line): void {
  socket.on("error", () => socket.destroy()).resume();
  refuseBrokenRequest(Object.assign(new Error("CONNECT"), { code: "HPE_INVALID_METHOD" }), socket);
}

/** The answer to the request that was read last, if it has not left yet. */
function lastAnswer(socket: Line): ServerResponse | undefined {
  const waiting = socket[LAST];
  const last = waiting !== undefined && !waiting.writableFinished ? waiting : socket._httpMessage;
  return last?.writableFinished === false ? last : undefined;
}

function answerNow(socket: Line, refusal: Refusal | undefined): void {
  // Half an answer may be on the wire already.
  if (refusal === undefined || !socket.writable || socket._httpMessage?.headersSent === true) {
    if (!socket.writableEnded) socket.destroy();
    return;
  }
  const { status, code, message } = refusal;
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}

function refusalOf(code: string): Refusal | undefined {
  if (code === "HPE_HEADER_OVERFLOW") return HEADER_TOO_LARGE;
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return BODY_MALFORMED;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return TIMED_OUT;
  return code.startsWith("HPE_") ? MALFORMED : undefined;
}
