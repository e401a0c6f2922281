// Values as JSON, for the control socket and for `--json`.
//
// Rule: nothing turns silently into something else. What JSON cannot hold gets a form of its own: {"$blob": base64},
// {"$real": "Infinity"}, {"$map": [[key, value]]}, {"$set": [...]}; 64-bit integers become text, dates ISO text; a value
// that refers to itself, or goes deeper than MAX_JSON_DEPTH, is refused. On the way in only {"$blob"} is read back: people
// type these, and what is no base64 is refused. A failure is told whatever was thrown: nobody is left to catch a second one.

import { FrondError } from "../../errors.ts";
import { MAX_JSON_DEPTH } from "../../limits.ts";

/** A value that JSON.stringify writes as it is. Throws NOT_CLONEABLE for a value that contains itself or is too deep. */
export function toWire(value: unknown): unknown {
  return convert(value, new Set());
}

/** `inside`: the objects that `value` lies in. */
function convert(value: unknown, inside: Set<object>): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return { $real: String(value) };
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof ArrayBuffer) return { $blob: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    return { $blob: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Error) return errorToWire(value);
  if (value instanceof RegExp) return String(value);
  if (inside.has(value)) throw new FrondError("NOT_CLONEABLE", "the value contains itself, which JSON cannot tell");
  if (inside.size === MAX_JSON_DEPTH) {
    throw new FrondError("NOT_CLONEABLE", `the value is nested deeper than ${MAX_JSON_DEPTH} lists and objects`);
  }
  inside.add(value);
  const converted = convertParts(value, (part) => convert(part, inside));
  inside.delete(value);
  return converted;
}

function convertParts(value: object, part: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(part);
  if (value instanceof Map) return { $map: [...value].map((pair) => pair.map(part)) };
  if (value instanceof Set) return { $set: [...value].map(part) };
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, part(inner)]));
}

/**
 * The value of parsed JSON: as it stands, with {"$blob": base64} as bytes. Throws BAD_OPTION where the text is no base64,
 * and for what is nested deeper than MAX_JSON_DEPTH.
 */
export function fromWire(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_JSON_DEPTH) {
    throw new FrondError("BAD_OPTION", `the JSON is nested deeper than ${MAX_JSON_DEPTH} lists and objects`);
  }
  if (Array.isArray(value)) return value.map((part) => fromWire(part, depth + 1));
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === "$blob" && typeof first[1] === "string") return fromBase64(first[1]);
  return Object.fromEntries(entries.map(([key, part]) => [key, fromWire(part, depth + 1)]));
}

/** Node leaves out what it cannot read: then other bytes would arrive than were meant. */
function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  const canonical = (base64: string): string => base64.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  if (canonical(bytes.toString("base64")) !== canonical(text)) {
    throw new FrondError("BAD_OPTION", `{"$blob": ${JSON.stringify(text.slice(0, 40))}} does not hold base64`);
  }
  return new Uint8Array(bytes);
}

/** A failure, as it crosses a process. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly overloaded: boolean;
  readonly remote: boolean;
}

/** What a caller in another process learns of a failure. What was thrown without a code has the code THROWN. Never throws. */
export function errorToWire(error: unknown): WireError {
  try {
    return error instanceof Error ? tellError(error) : thrown(typeof error === "string" ? error : inJson(error));
  } catch {
    // Code can throw what cannot be looked at: a circle, a proxy, a getter that throws.
    return thrown("something that cannot be told as text");
  }
}

function tellError(error: Error): WireError {
  const facts = error as Error & { code?: unknown; retryable?: unknown; overloaded?: unknown; remote?: unknown };
  const message = String(error.message);
  const traits = {
    retryable: facts.retryable === true,
    overloaded: facts.overloaded === true,
    remote: facts.remote === true,
  };
  if (typeof facts.code === "string" && facts.code !== "") return { code: facts.code, message, ...traits };
  return { code: "THROWN", message: error.name === "Error" ? message : `${String(error.name)}: ${message}`, ...traits };
}

function thrown(message: string): WireError {
  return { code: "THROWN", message, retryable: false, overloaded: false, remote: true };
}

function inJson(value: unknown): string {
  return String(JSON.stringify(toWire(value)));
}
