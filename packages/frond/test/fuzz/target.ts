// A target of the fuzzing: an entrance of frond, what is thrown at it, and the oracle that judges what it does.
//
// Rule: an oracle compares with something that does not use the code under test: the bytes as they were written, a model,
// SQLite's own answer. A case that fails is shrunk and shown whole (bytes as hex), with the seed that makes it again.
// Each oracle is tried on a broken variant of its entrance, which it must catch: an oracle that believes everything finds
// nothing.

import fc from "fast-check";
import { type ErrorCode, isFrondError } from "../../src/errors.ts";

/** An entrance, open for cases. */
export interface Entrance<T> {
  readonly input: fc.Arbitrary<T>;
  /** Throws where the entrance did what it must not. */
  check(input: T): void | Promise<void>;
  close?(): void | Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Cases of the slice that `npm test` runs. Count. */
  readonly slice: number;
  /** Tries `runs` cases drawn from `seed`; the text of the failure, or undefined. `trace` sees each case before it runs. */
  run(runs: number, seed: number, trace?: (shown: string) => void): Promise<string | undefined>;
}

/** Makes a target; `open` is called for each run of it. */
export function target<T>(name: string, slice: number, open: () => Entrance<T> | Promise<Entrance<T>>): Target {
  return {
    name,
    slice,
    async run(runs, seed, trace) {
      const entrance = await open();
      try {
        const property = fc.asyncProperty(entrance.input, async (input) => {
          trace?.(show(input));
          await entrance.check(input);
        });
        const details = await fc.check(property, { numRuns: runs, seed });
        if (!details.failed) return undefined;
        const error = details.errorInstance;
        const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
        const [counterexample] = details.counterexample ?? [];
        return [
          `${name}: seed ${seed}, case ${details.numRuns} of ${runs}, shrunk ${details.numShrinks} times`,
          `repeat it with: npm run fuzz -- --target ${name} --seed ${seed}`,
          `case: ${show(counterexample)}`,
          told,
        ].join("\n");
      } finally {
        await entrance.close?.();
      }
    },
  };
}

/** Longest part of some bytes that is shown, in bytes. */
const SHOWN_BYTES = 8192;

/** A case as text: bytes as hex, everything else as near to JSON as it comes. */
export function show(value: unknown): string {
  try {
    return shown(value);
  } catch {
    // Some cases are objects that throw when they are looked at.
    return "(something that cannot be looked at)";
  }
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const cut = bytes.length > SHOWN_BYTES ? `... (${bytes.length} bytes)` : "";
    return `hex(${bytes.subarray(0, SHOWN_BYTES).toString("hex")}${cut})`;
  }
  if (typeof value === "string" && value.length > SHOWN_BYTES) {
    return `${JSON.stringify(value.slice(0, 100))}... (${value.length} characters)`;
  }
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const fields = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${shown(part)}`);
    return `{${fields.join(", ")}}`;
  }
  return fc.stringify(value);
}

/** What `run` gives, or the code that it is refused with; every code but these fails the case, and so does any other error. */
export function attempt<T>(codes: readonly ErrorCode[], run: () => T): { value: T } | { code: ErrorCode } {
  try {
    return { value: run() };
  } catch (error) {
    return { code: codeAmong(codes, error) };
  }
}

/** The code of `error` if it is one of `codes`; throws the error itself if not. */
export function codeAmong(codes: readonly ErrorCode[], error: unknown): ErrorCode {
  if (isFrondError(error) && codes.includes(error.code)) return error.code;
  throw error;
}
