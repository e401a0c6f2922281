// Values as JSON, for the control socket and for `--json`.
//
// Rule: nothing turns silently into something else. What JSON cannot hold gets a form of its own: {"$blob": base64},
// {"$real": "Infinity"}, {"$map": [[key, value]]}, {"$set": [...]}; 64-bit integers become text, dates ISO text; a value
// that refers to itself is refused. On the way in only {"$blob"} is read back: people type these.

import { FrondError } from "../errors.ts";

/** A value that JSON.stringify writes as it is. Throws NOT_CLONEABLE for a value that contains itself. */
export function toWire(value: unknown, inside: ReadonlySet<object> = new Set()): unknown {
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
  const deeper = new Set(inside).add(value);
  const convert = (part: unknown): unknown => toWire(part, deeper);
  if (Array.isArray(value)) return value.map(convert);
  if (value instanceof Map) return { $map: [...value].map((pair) => pair.map(convert)) };
  if (value instanceof Set) return { $set: [...value].map(convert) };
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, convert(part)]));
}

/** The value of parsed JSON: as it stands, with {"$blob": base64} as bytes. */
export function fromWire(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromWire);
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === "$blob" && typeof first[1] === "string") {
    return new Uint8Array(Buffer.from(first[1], "base64"));
  }
  return Object.fromEntries(entries.map(([key, part]) => [key, fromWire(part)]));
}

/** A failure, as it crosses a process. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly overloaded: boolean;
  readonly remote: boolean;
}

/** What a caller in another process learns of a failure. What was thrown without a code has the code THROWN. */
export function errorToWire(error: unknown): WireError {
  if (!(error instanceof Error)) {
    const message = typeof error === "string" ? error : JSON.stringify(toWire(error));
    return { code: "THROWN", message: String(message), retryable: false, overloaded: false, remote: true };
  }
  const facts = error as Error & { code?: unknown; retryable?: unknown; overloaded?: unknown; remote?: unknown };
  const coded = typeof facts.code === "string" && facts.code !== "";
  return {
    code: coded ? (facts.code as string) : "THROWN",
    message: coded || error.name === "Error" ? error.message : `${error.name}: ${error.message}`,
    retryable: facts.retryable === true,
    overloaded: facts.overloaded === true,
    remote: facts.remote === true,
  };
}
