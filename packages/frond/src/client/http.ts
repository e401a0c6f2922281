// Calls over HTTP: one POST each.
//
// Rule: nothing is sent twice, and a redirect is not followed (it would become another call). An answer that is not the
// server's own JSON comes from something in between, which knows no more than we do: OUTCOME_UNKNOWN.

import type { Call, Carry } from "./calls.ts";
import { notConnected, toldError, unknownOutcome } from "./error.ts";

/** Headers of each call, or what makes them, asked for each call: a token may have to be fresh. */
export type CallHeaders =
  | Readonly<Record<string, string>>
  | (() => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>);

/** Carries calls by `fetch` to the server at `base`, a URL without a slash at its end. */
export function httpCarrier(base: string, headers: CallHeaders | undefined, send: typeof fetch): Carry {
  return async (call, signal) => {
    const own = typeof headers === "function" ? await headers() : headers;
    // Nobody waits any more, and nothing has left.
    if (signal.aborted) throw notConnected("the call was given up");
    let response: Response;
    let answer: unknown;
    try {
      response = await send(base + pathOf(call), {
        method: "POST",
        headers: { ...own, "content-type": "application/json" },
        body: call.args,
        redirect: "error",
        signal,
      });
      answer = parse(await response.text());
    } catch (cause) {
      throw unknownOutcome(`no answer came from ${base}`, { cause });
    }
    const { status } = response;
    if (response.ok && isRecord(answer) && "ok" in answer) return answer["ok"];
    const told = isRecord(answer) ? toldError(answer["error"], status) : undefined;
    throw told ?? unknownOutcome(`${base} answered ${status} and not as frond does`, { status });
  };
}

/**
 * The path of a call. A name that servers in between would rewrite in a path (`..`, or a `/` however it is escaped)
 * travels in the query instead.
 */
export function pathOf({ kind, name, verb }: Omit<Call, "args">): string {
  const [k, n, v] = [kind, name, verb].map(encodeURIComponent);
  const inQuery = /[/\\%]|^\.{1,2}$/.test(name);
  return inQuery ? `/_frond/call/${k}/${v}?name=${n}` : `/_frond/call/${k}/${n}/${v}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
