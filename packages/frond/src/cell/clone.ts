// Values that cross from one cell to another: structured clones, locally too.
//
// Rule: what a cell receives is its own; a call behaves alike wherever the callee lives. Errors arrive with name, message,
// stack and own fields of what was thrown, marked `remote`; a FrondError stays one.
// Primitives skip the clone: most arguments are names and numbers.

import { FrondError } from "../errors.ts";

/** A copy of an argument list. Throws NOT_CLONEABLE naming the verb. */
export function cloneArguments(args: unknown[], verb: string): unknown[] {
  for (const arg of args) if (!isPrimitive(arg)) return clone(args, `an argument of ${verb}`) as unknown[];
  return args;
}

/** A copy of a result. Throws NOT_CLONEABLE naming the verb. */
export function cloneResult(value: unknown, verb: string): unknown {
  return isPrimitive(value) ? value : clone(value, `the result of ${verb}`);
}

/** The error as the caller of a verb sees it. */
export function cloneError(error: unknown): unknown {
  if (!(error instanceof Error)) {
    try {
      return structuredClone(error);
    } catch {
      return remote(new Error(`a value that cannot be cloned was thrown: ${String(error)}`));
    }
  }
  if (error instanceof FrondError) return error;
  let copy: Error;
  try {
    copy = structuredClone(error);
  } catch {
    copy = new Error(error.message);
  }
  // structuredClone keeps neither the names of subclasses nor own fields.
  Object.defineProperty(copy, "name", { value: error.name, configurable: true, writable: true, enumerable: false });
  for (const [key, value] of Object.entries(error)) {
    if (isPrimitive(value)) Object.assign(copy, { [key]: value });
  }
  return remote(copy);
}

function remote(error: Error): Error {
  return Object.assign(error, { remote: true });
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
    throw new FrondError("NOT_CLONEABLE", `${what} cannot be copied between cells: ${(error as Error).message}`, { cause: error });
  }
}
