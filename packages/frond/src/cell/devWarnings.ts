// Warnings for whoever is writing the app: what is allowed and still almost always a mistake.
//
// Rule: only under `frond dev`, where a look at every field of an instance before each sync verb costs nobody anything.

import type { Cell } from "./cell.ts";
import type { Invocation } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/** What the fields of an instance were: by name, the value and its size if it is a collection. */
export type Fields = ReadonlyMap<string, readonly [value: unknown, size: number]>;

export function fieldsOf(instance: Cell): Fields {
  const fields = Object.entries(instance).filter(([name]) => name !== "ctx");
  return new Map(fields.map(([name, value]) => [name, [value, sizeOf(value)]]));
}

/** Warns when a sync verb that was rolled back leaves fields other than it found them. */
export function warnOfFields(cell: LiveCell, invocation: Invocation, before: Fields): void {
  const after = fieldsOf(cell.instance);
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const changed = names.filter((name) => {
    const [was, size] = before.get(name) ?? [undefined, -1];
    const [is, now] = after.get(name) ?? [undefined, -1];
    return !Object.is(was, is) || size !== now;
  });
  if (changed.length === 0) return;
  const what = `${cell.kind.type.name}.${invocation.verb} threw and its transaction was rolled back, its fields were not`;
  cell.host.warn(
    { code: "FIELDS_KEPT", address: cell.address, verb: invocation.verb, fields: changed },
    `${what}: ${changed.join(", ")}; set fields at the end of a verb, or read them from the database`,
  );
}

/** Warns when an async verb throws after a part of it was committed. */
export function warnOfPartialCommit(cell: LiveCell, invocation: Invocation, error: unknown): void {
  const what = `${cell.kind.type.name}.${invocation.verb} threw after ${invocation.commits} of its stretches had been committed`;
  cell.host.warn(
    { code: "PARTIAL_COMMIT", address: cell.address, verb: invocation.verb, err: error },
    `${what}; these stay. For all or nothing write inside one this.transaction(() => ...)`,
  );
}

function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map || value instanceof Set) return value.size;
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}
