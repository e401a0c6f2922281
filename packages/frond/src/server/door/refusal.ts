// Answers that the front door gives by itself: refusals and failures.
//
// Rule: every such answer is JSON `{"error":{"code","message"}}` with a stable code, and says nothing of the inside: no
// path, no stack, no text of an error that the app did not mean for its clients, except under `frond dev`. Whoever may try again is told when.

import type { ServerResponse } from "node:http";
import { RETRY_AFTER_SECONDS } from "../../limits.ts";
import { errorToWire } from "../operator/wire.ts";

/** An answer that needs no request: made once, written often. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export const OVERLOADED: Refusal = { status: 503, code: "OVERLOADED", message: "too much to do; try again soon" };
export const STOPPING: Refusal = { status: 503, code: "STOPPING", message: "this node is stopping; try again" };
const RETRY: Refusal = { status: 503, code: "RETRY", message: "this did not work now; try again" };
const INTERNAL: Refusal = { status: 500, code: "INTERNAL", message: "the request failed; the log has the reason" };

/** What a failed handler means to the client. Errors that invite a retry say so by `overloaded` or `retryable`. */
export function refusalFor(error: unknown): Refusal {
  if (typeof error !== "object" || error === null) return INTERNAL;
  const traits = error as { overloaded?: unknown; retryable?: unknown; code?: unknown };
  if (traits.code === "BODY_TOO_LARGE")
    return { status: 413, code: "BODY_TOO_LARGE", message: "the body is too large" };
  if (traits.overloaded !== true && traits.retryable !== true) return INTERNAL;
  const known = traits.overloaded === true ? OVERLOADED : RETRY;
  return typeof traits.code === "string" ? { ...known, code: traits.code } : known;
}

/** The same with the code and the message of the error itself: for whoever is writing the app, never for the world. */
export function toldRefusal(error: unknown): Refusal {
  const { code, message } = errorToWire(error);
  return { status: refusalFor(error).status, code, message };
}

/** Writes a refusal. `requestId` ties it to the line in the log. */
export function writeRefusal(outgoing: ServerResponse, refusal: Refusal, requestId?: string): void {
  const { status, code, message } = refusal;
  const error = requestId === undefined ? { code, message } : { code, message, requestId };
  writeJson(outgoing, status, { error });
}

/** Writes `value` as JSON in one write. Never stored by a cache: what the front door says is about now. */
export function writeJson(outgoing: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  const headers = ["content-type", "application/json", "cache-control", "no-store"];
  headers.push("content-length", String(Buffer.byteLength(body)));
  if (status === 503) headers.push("retry-after", String(RETRY_AFTER_SECONDS));
  outgoing.writeHead(status, headers).end(body);
}
