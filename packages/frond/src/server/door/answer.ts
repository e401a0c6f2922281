// Responses onto the wire.
//
// Rule: a text or bytes of known length leave in one write with their Content-Length; a stream is pumped as fast as the
// client reads and is cancelled when the client goes. What a handler returns is checked before the first byte leaves,
// so a wrong status or header is a clean 500 and not half an answer. HEAD, 204 and 304 carry no body.
//
// A light Response (see listenHttp) keeps status, body and headers as they were given, under a symbol of its own; read
// from there an answer costs no Headers object and no stream. Any other Response takes its public way, which is slower.
// Rejected: the adapter's own writer (prints failures of the app to the console and can send their text to the client).

import { getRequestListener } from "@hono/node-server";
import type { ServerResponse } from "node:http";
import { WRITE_TIMEOUT_MS } from "../../limits.ts";

type LightBody = string | Uint8Array | Blob | ReadableStream<Uint8Array> | null;
type LightHeaders = Headers | [string, string][] | Record<string, string> | undefined;
type LightState = readonly [status: number, body: LightBody, headers: LightHeaders];

let lightState: symbol | undefined;

/** Replaces the global Request and Response of the process by light ones, once. Called before the app is loaded. */
export function useLightGlobals(): void {
  if (lightState !== undefined) return;
  getRequestListener(() => undefined);
  lightState = Object.getOwnPropertySymbols(new Response("")).find((symbol) => symbol.description === "cache");
  // A version of the adapter without the symbol would be right but slow: the fallback below is for native Responses.
  lightState ??= Symbol("no light state");
}

/** True for anything that can be written as an answer, of whichever Response class. */
export function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && "headers" in value && "status" in value && "body" in value;
}

/** True if the body of `response` is made while it is read. */
export function hasStream(response: Response): boolean {
  const light = (response as unknown as Record<symbol, LightState | undefined>)[lightState as symbol];
  const body = light ? light[1] : response.body;
  return body instanceof ReadableStream;
}

/** Who hears an answer; see {@link writeResponse}. */
export interface Audience {
  /** Resolves when what was seen so far may be told. */
  told(): Promise<void>;
}

/**
 * Writes `response`. Each chunk of a stream leaves when `audience` may hear what it tells. Throws, before anything was written, when it cannot be sent: a status outside 200 to 599, a bad
 * header, a body that was read already. The promise, for streams only, rejects when the body fails after the headers
 * left: then the connection can only be cut.
 */
export function writeResponse(
  response: Response,
  outgoing: ServerResponse,
  audience?: Audience,
): Promise<void> | undefined {
  const light = (response as unknown as Record<symbol, LightState | undefined>)[lightState as symbol];
  const status = light ? light[0] : response.status;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`${String(status)} is not a status from 200 to 599`);
  }
  const body = light ? light[1] : response.body;
  const headers = light ? light[2] : response.headers;
  if (typeof body === "string" || body instanceof Uint8Array) {
    writeWhole(outgoing, status, body, headers);
    return undefined;
  }
  return writeOther(outgoing, status, body, headers, audience);
}

function writeWhole(outgoing: ServerResponse, status: number, body: string | Uint8Array, headers: LightHeaders): void {
  const list = flatten(headers, true);
  if (typeof body === "string" && !hasContentType(list)) list.push("content-type", "text/plain;charset=UTF-8");
  if (status !== 204) {
    list.push("content-length", String(typeof body === "string" ? Buffer.byteLength(body) : body.byteLength));
  }
  outgoing.writeHead(status, list);
  // Node itself sends no body with HEAD, 204 and 304.
  outgoing.end(body);
}

function writeOther(
  outgoing: ServerResponse,
  status: number,
  body: Blob | ReadableStream<Uint8Array> | null,
  headers: LightHeaders,
  audience: Audience | undefined,
): Promise<void> | undefined {
  const bodyless = outgoing.req.method === "HEAD" || status === 204 || status === 304;
  const blob = body instanceof Blob ? body : undefined;
  const list = flatten(headers, blob !== undefined || (body === null && !bodyless) || status === 204);
  if (blob && status !== 204) list.push("content-length", String(blob.size));
  else if (body === null && !bodyless) list.push("content-length", "0");
  if (blob?.type && !hasContentType(list)) list.push("content-type", blob.type);
  if (body === null || bodyless) {
    outgoing.writeHead(status, list).end();
    if (body !== null && !blob) void (body as ReadableStream).cancel().catch(() => {});
    return undefined;
  }
  const reader = (blob ? blob.stream() : (body as ReadableStream<Uint8Array>)).getReader();
  // A body shorter or longer than the length that the app stated would shift every later answer of the connection.
  outgoing.strictContentLength = true;
  try {
    outgoing.writeHead(status, list);
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw error;
  }
  return pump(reader, outgoing, blob ? undefined : audience);
}

async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  outgoing: ServerResponse,
  audience: Audience | undefined,
): Promise<void> {
  const cancel = (): void => void reader.cancel(new Error("the client has gone")).catch(() => {});
  outgoing.once("close", cancel);
  // The headers of a stream that begins late leave at once; those of one that is ready ride with its first bytes.
  const early = setImmediate(() => outgoing.flushHeaders());
  try {
    for (;;) {
      const { done, value } = await reader.read();
      clearImmediate(early);
      // The end tells something too, and so does a failure.
      await audience?.told();
      if (done) break;
      if (!outgoing.write(value) && !outgoing.destroyed) await roomIn(outgoing);
    }
    outgoing.end();
  } catch (error) {
    clearImmediate(early);
    await audience?.told();
    void reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    outgoing.off("close", cancel);
  }
}

/** Room for more. A client that reads nothing for WRITE_TIMEOUT_MS is cut off. */
function roomIn(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => outgoing.destroy(), WRITE_TIMEOUT_MS);
    timer.unref();
    const go = (): void => {
      clearTimeout(timer);
      outgoing.off("drain", go);
      outgoing.off("close", go);
      resolve();
    };
    outgoing.on("drain", go);
    outgoing.on("close", go);
  });
}

/** Name, value, name, value: the form that node writes fastest. Headers of the connection are node's own business. */
function flatten(headers: LightHeaders, dropLength: boolean): string[] {
  const list: string[] = [];
  if (headers === undefined) return list;
  if (typeof (headers as Iterable<unknown>)[Symbol.iterator] === "function") {
    for (const [name, value] of headers as Iterable<[string, string]>) pushHeader(list, name, value, dropLength);
  } else {
    const record = headers as Record<string, string>;
    for (const name in record) pushHeader(list, name, record[name] as string, dropLength);
  }
  return list;
}

function pushHeader(list: string[], name: string, value: string, dropLength: boolean): void {
  // Lengths first: most names fall through without a comparison of letters.
  if (name.length === 14 && dropLength && name.toLowerCase() === "content-length") return;
  if (name.length === 17 && name.toLowerCase() === "transfer-encoding") return;
  if (name.length === 10 && (name.toLowerCase() === "keep-alive" || name.toLowerCase() === "connection")) return;
  list.push(name, value);
}

function hasContentType(list: readonly string[]): boolean {
  for (let i = 0; i < list.length; i += 2) {
    if (list[i]?.length === 12 && list[i]?.toLowerCase() === "content-type") return true;
  }
  return false;
}
