// Calls from outside over HTTP: POST /_frond/call/KIND/NAME/VERB with a JSON list of arguments.
//
// Rule: a page of another site can make nobody's browser call. The content type must be application/json, which no form and
// no simple request can have, so browsers ask first (preflight); and an Origin, where one is stated, must be that of the
// Host or be listed in `origins`. What is wrong with the request itself is told alike for every kind and verb, before
// anything is looked up. A name that servers in between would rewrite may stand in the query: KIND/VERB?name=NAME.
// Rejected: GET for reads (a link or an image could then call; caches would keep answers), Sec-Fetch-Site (says the same
// for fewer browsers).

import { decode } from "../../client/values.ts";
import { PREFLIGHT_SECONDS, RETRY_AFTER_SECONDS } from "../../limits.ts";
import { type AskedCall, badArguments, type ExposedCalls, failure, type Outcome } from "./expose.ts";
import type { RequestInfo } from "./request.ts";

/** What stands before KIND/NAME/VERB. */
const CALL_PATH = "/_frond/call/";
const SOCKET_PATH = "/_frond/socket";

/** True for the targets of calls from outside, over HTTP or a WebSocket. */
export function isCallTarget(target: string): boolean {
  return target.startsWith(CALL_PATH) || isSocketTarget(target);
}

/** True for the target of the WebSocket of calls. */
export function isSocketTarget(target: string): boolean {
  return target.startsWith(SOCKET_PATH) && /^(?:$|\?)/.test(target.slice(SOCKET_PATH.length));
}

const NO_METHOD = failure(405, "METHOD_NOT_ALLOWED", "calls are made by POST");
const NO_JSON = failure(415, "BAD_CONTENT_TYPE", "calls have the content type application/json");
/** For pages of origins that are not allowed. */
export const NO_ORIGIN = failure(
  403,
  "BAD_ORIGIN",
  "pages of this origin may not call; an app lists others in origins",
);

/** Answers calls over HTTP. */
export function httpCalls(calls: ExposedCalls): (request: Request, info: RequestInfo) => Promise<Response> {
  const { origins } = calls.exposure;
  return async (request, info) => {
    const url = new URL(request.url);
    const origin = request.headers.get("origin");
    if (!isAllowedOrigin(origin, url, origins)) return respond(NO_ORIGIN);
    const listed = origin !== null && origins.has(origin) ? origin : undefined;
    if (request.method === "OPTIONS" && listed !== undefined) return preflight(listed, request.headers);
    return respond(await answer(calls, request, url, info), listed);
  };
}

/** True for a request without Origin, from a page of the host of `url` itself, or from a listed one. */
export function isAllowedOrigin(origin: string | null, url: URL, origins: ReadonlySet<string>): boolean {
  if (origin === null || origins.has(origin)) return true;
  if (!/^https?:/.test(origin) || !URL.canParse(origin)) return false;
  const from = new URL(origin);
  // TLS may end at a proxy that is not trusted: http here says nothing of the scheme outside.
  return from.host === url.host && (url.protocol === "http:" || from.protocol === "https:");
}

async function answer(calls: ExposedCalls, request: Request, url: URL, info: RequestInfo): Promise<Outcome> {
  if (request.method !== "POST") return NO_METHOD;
  const [type] = (request.headers.get("content-type") ?? "").split(";");
  if (type?.trim().toLowerCase() !== "application/json") return NO_JSON;
  const args = readArguments(await request.text());
  if (typeof args === "string") return badArguments(args);
  return calls.answer({ ...addressOf(url), args }, { headers: request.headers, info });
}

/** The arguments of a body, or what is wrong with it. */
function readArguments(text: string): readonly unknown[] | string {
  try {
    const args = decode(JSON.parse(text));
    return Array.isArray(args) ? args : "the body is a JSON list: the arguments of the verb";
  } catch (error) {
    return error instanceof SyntaxError ? "the body is not JSON" : (error as Error).message;
  }
}

/** What is no address of a call becomes one that nobody has: it is refused like any other. */
function addressOf(url: URL): Omit<AskedCall, "args"> {
  const nowhere = { kind: "", name: "", verb: "" };
  // With `..` a target can begin like a call and mean another path, which is the one that a guard in front has seen.
  if (!url.pathname.startsWith(CALL_PATH)) return nowhere;
  const parts = url.pathname.slice(CALL_PATH.length).split("/").map(decodePart);
  if (parts.length === 2) {
    const [kind = "", verb = ""] = parts;
    const name = url.searchParams.get("name");
    return name === null ? nowhere : { kind, name, verb };
  }
  const [kind = "", name = "", verb = ""] = parts;
  return parts.length === 3 ? { kind, name, verb } : nowhere;
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** The answer that tells `outcome`, with the headers that a page of the listed origin needs to read it. */
export function respond(outcome: Outcome, listed?: string): Response {
  const status = "ok" in outcome ? 200 : outcome.status;
  const body = "ok" in outcome ? `{"ok":${outcome.ok}}` : JSON.stringify({ error: outcome.error });
  return new Response(body, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      ...(status === 503 && { "retry-after": String(RETRY_AFTER_SECONDS) }),
      ...(status === 405 && { allow: "POST" }),
      ...(listed !== undefined && crossHeaders(listed)),
    },
  });
}

function crossHeaders(origin: string): Record<string, string> {
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    vary: "origin",
  };
}

/** A listed origin may send what it likes: `authorize` reads it. */
function preflight(origin: string, asked: Headers): Response {
  const headers = asked.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      ...crossHeaders(origin),
      "access-control-allow-methods": "POST",
      ...(headers !== null && { "access-control-allow-headers": headers }),
      "access-control-max-age": String(PREFLIGHT_SECONDS),
    },
  });
}
