// What the ways of a call have in common: one over HTTP, one over a WebSocket.
//
// Rule: a call is sent at most once. What bounds it, a time and a signal, is watched here and nowhere else.

import { FrondClientError, unknownOutcome } from "./error.ts";
import { encode } from "./values.ts";

/** Bounds of calls. */
export interface CallOptions {
  /** Time for the answer, in ms; after it the call fails with OUTCOME_UNKNOWN. 0 = no bound. Default: 30,000. */
  readonly timeoutMs?: number;
  /** Ends the call: its promise is rejected with the signal's reason. The server may have made it. */
  readonly signal?: AbortSignal;
}

/** One call on its way. */
export interface Call {
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  /** The arguments, a JSON list. */
  readonly args: string;
}

/** Reason of the signal when the time of a call has passed. */
export const EXPIRED = "expired";

/** Carries a call; resolves with the encoded result. `signal` is raised when nobody waits any more. */
export type Carry = (call: Call, signal: AbortSignal) => Promise<unknown>;

export const DEFAULT_TIMEOUT_MS = 30_000;
/** Largest argument list, in bytes: the server's own bound (MAX_CALL_BYTES of its limits), beyond which it hangs up. */
export const MAX_ARGUMENT_BYTES = 1_000_000;

/** A call with its arguments encoded. Throws BAD_ARGUMENTS for what cannot be sent. */
export function encodeCall(kind: string, name: string, verb: string, args: readonly unknown[]): Call {
  let text: string;
  try {
    text = JSON.stringify(encode(args));
  } catch (cause) {
    const message = `an argument of ${verb} cannot be sent: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new FrondClientError({ code: "BAD_ARGUMENTS", message }, { cause });
  }
  // A character has at most three bytes: most texts need no count.
  if (text.length * 3 > MAX_ARGUMENT_BYTES && new TextEncoder().encode(text).length > MAX_ARGUMENT_BYTES) {
    const message = `the arguments of ${verb} have more than ${MAX_ARGUMENT_BYTES} bytes as JSON; upload such data by fetch`;
    throw new FrondClientError({ code: "BAD_ARGUMENTS", message });
  }
  return { kind, name, verb, args: text };
}

/** Carries a call within its bounds. */
export async function carryBounded(carry: Carry, call: Call, options: CallOptions): Promise<unknown> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  signal?.throwIfAborted();
  const over = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const abort = (): void => {
    reject(signal?.reason);
    over.abort();
  };
  const expire = (): void => {
    // First: who carries it may know that it never left, and says so.
    over.abort(EXPIRED);
    reject(unknownOutcome(`${call.verb} got no answer within ${timeoutMs} ms`));
  };
  signal?.addEventListener("abort", abort, { once: true });
  const timer = timeoutMs > 0 ? setTimeout(expire, timeoutMs) : undefined;
  try {
    return await Promise.race([carry(call, over.signal), ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
