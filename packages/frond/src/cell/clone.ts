// Values that cross from one cell to another: structured clones, locally too.
//
// Rule: what a cell receives is its own; a call behaves alike wherever the callee lives. Errors arrive with name, message,
// stack, causes and own fields of what was thrown, marked `remote`; a FrondError stays one. What of an error cannot be
// cloned is left out: an error must arrive.
// Primitives skip the clone: most arguments are names and numbers.

import { FrondError } from "../errors.ts";

/** Causes of causes that travel with an error. Count; also the end of a cycle. */
const MAX_CAUSES = 8;

/** A copy of an argument list. Throws NOT_CLONEABLE naming the verb. */
export function cloneArguments(args: unknown[], verb: string): unknown[] {
  for (const arg of args) if (!isPrimitive(arg)) return clone(args, `an argument of ${verb}`) as unknown[];
  return args;
}

/** A copy of a result. Throws NOT_CLONEABLE naming the verb. */
export function cloneResult(value: unknown, verb: string): unknown {
  return isPrimitive(value) ? value : clone(value, `the result of ${verb}`);
}

/** The error that a verb ended with, as its caller sees it: a copy, marked `remote`. */
export function cloneError(error: unknown): unknown {
  if (error instanceof Error) return Object.assign(copyError(error, 0), { remote: true });
  try {
    return structuredClone(error);
  } catch {
    return Object.assign(new Error(`a ${typeof error} that cannot be cloned was thrown`), { remote: true });
  }
}

function copyError(error: Error, depth: number): Error {
  const copy = error instanceof FrondError ? new FrondError(error.code, error.message) : builtInError(error);
  // Own fields last: structuredClone keeps neither them nor the names of subclasses.
  define(copy, "name", error.name, false);
  define(copy, "stack", error.stack, false);
  if ("cause" in error) define(copy, "cause", copyCause(error.cause, depth + 1), false);
  for (const [key, value] of Object.entries(error)) {
    const own = isPrimitive(value) ? value : tryClone(value);
    if (own !== undefined) define(copy, key, own, true);
  }
  return copy;
}

/** An error of the same built-in class: TypeError, RangeError and so on, else Error. */
function builtInError(error: Error): Error {
  try {
    return structuredClone(error);
  } catch {
    // Its cause cannot be cloned.
    return new Error(error.message);
  }
}

function copyCause(cause: unknown, depth: number): unknown {
  if (cause instanceof Error) return depth > MAX_CAUSES ? undefined : copyError(cause, depth);
  return isPrimitive(cause) ? cause : tryClone(cause);
}

function tryClone(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return undefined;
  }
}

function define(error: Error, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
}

function isPrimitive(value: unknown): boolean {
  switch (typeof value) {
    case "object":
      return value === null;
    case "function":
    case "symbol":
      return false;
    default:
      return true;
  }
}

function clone(value: unknown, what: string): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    throw new FrondError("NOT_CLONEABLE", `${what} cannot be copied between cells: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
