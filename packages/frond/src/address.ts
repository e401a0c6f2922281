// Addresses: one way to name a part, at every level.
//
// An address is a path of kind/name pairs. A name may hold any well-formed text; in the address `/` and `%` of a name
// and control characters are percent-encoded, so the path splits at `/` alone. A root address decides the slot.
// Rejected: hashing names into ids (people read, type and search addresses), refusing `/` in names (e-mail addresses and
// URLs are the names that businesses have).

import { FrondError } from "./errors.ts";
import { MAX_ADDRESS_BYTES, MAX_KIND_LENGTH, MAX_NAME_BYTES, SLOTS } from "./limits.ts";
import type { Address, Slot } from "./types.ts";

/** One step of an address. */
export interface Pair {
  readonly kind: string;
  readonly name: string;
}

const KIND = /^[A-Za-z][A-Za-z0-9_-]*$/;
// Everything that must not stand in an escaped name as it is.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[%/\u0000-\u001f\u007f]/;
// oxlint-disable-next-line no-control-regex
const UNSAFE_ALL = /[%/\u0000-\u001f\u007f]/g;

/** Throws BAD_ADDRESS unless `kind` can name a cell class: a letter, then letters, digits, `_` or `-`. */
export function checkKind(kind: string): void {
  if (kind.length > MAX_KIND_LENGTH || !KIND.test(kind)) {
    throw new FrondError(
      "BAD_ADDRESS",
      `the kind ${JSON.stringify(kind)} is not a letter followed by letters, digits, "_" or "-" (at most ${MAX_KIND_LENGTH})`,
    );
  }
}

/** Throws BAD_ADDRESS unless `name` can name a cell: 1 to MAX_NAME_BYTES bytes of well-formed text without NUL. */
export function checkName(name: unknown): asserts name is string {
  let wrong: string | undefined;
  if (typeof name !== "string") wrong = `is ${name === null ? "null" : `of type ${typeof name}`}, not a string`;
  else if (name === "") wrong = "is empty";
  else if (
    name.length > MAX_NAME_BYTES ||
    (name.length * 3 > MAX_NAME_BYTES && Buffer.byteLength(name) > MAX_NAME_BYTES)
  )
    wrong = `is longer than ${MAX_NAME_BYTES} bytes`;
  else if (!name.isWellFormed()) wrong = "holds half of a surrogate pair, which is not text";
  else if (name.includes("\0")) wrong = "holds a NUL character";
  if (wrong === undefined) return;
  const shown = typeof name === "string" ? ` ${JSON.stringify(name.slice(0, 60))}` : "";
  throw new FrondError("BAD_ADDRESS", `the name${shown} of a cell ${wrong}`);
}

/** The address of a root cell. The kind is trusted (checked when the app was defined), the name is checked. */
export function rootAddress(kind: string, name: string): Address {
  checkName(name);
  return `${kind}/${escapeName(name)}` as Address;
}

/** Path text of pairs. Throws BAD_ADDRESS for a bad kind or name, an empty path or one that is too long. */
export function formatAddress(pairs: readonly Pair[]): Address {
  if (pairs.length === 0) throw new FrondError("BAD_ADDRESS", "an address needs at least one kind/name pair");
  const text = pairs
    .map(({ kind, name }) => {
      checkKind(kind);
      checkName(name);
      return `${kind}/${escapeName(name)}`;
    })
    .join("/");
  checkLength(text);
  return text as Address;
}

/** Pairs of a path text, as people type it. Throws BAD_ADDRESS with what is wrong. */
export function parseAddress(text: string): Pair[] {
  checkLength(text);
  const parts = text.split("/");
  if (parts.length % 2 !== 0) {
    throw new FrondError(
      "BAD_ADDRESS",
      `${JSON.stringify(text.slice(0, 80))} is not a path of KIND/NAME pairs; a "/" inside a name is written %2f`,
    );
  }
  const pairs: Pair[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    const kind = parts[i] as string;
    const name = unescapeName(parts[i + 1] as string);
    checkKind(kind);
    checkName(name);
    pairs.push({ kind, name });
  }
  return pairs;
}

/** The slot of an address: a hash of its first pair alone, so that a tree never spans slots. */
export function slotOf(address: Address): Slot {
  const first = address.indexOf("/");
  const second = address.indexOf("/", first + 1);
  const root = second === -1 ? address : address.slice(0, second);
  // FNV-1a over the bytes of UTF-8, then the finishing mix of MurmurHash3: FNV's low bits alone are weak.
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(root)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) % SLOTS) as Slot;
}

/** Name of the slot function, frozen in the data directory when it is created. */
export const SLOT_HASH = "fnv1a-mix";

/** The order of addresses: that of their UTF-8 bytes, as in SQLite. JavaScript's own differs for characters above U+FFFF. */
export function compareAddresses(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function escapeName(name: string): string {
  if (!UNSAFE.test(name)) return name;
  return name.replace(UNSAFE_ALL, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function unescapeName(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%([0-9a-fA-F]{2})?/g, (whole, hex: string | undefined) => {
    if (hex === undefined || Number.parseInt(hex, 16) > 0x7f) {
      throw new FrondError(
        "BAD_ADDRESS",
        `"${whole}" in ${JSON.stringify(text.slice(0, 60))} is not an escape like %2f`,
      );
    }
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
}

function checkLength(text: string): void {
  if (text.length > MAX_ADDRESS_BYTES || Buffer.byteLength(text) > MAX_ADDRESS_BYTES) {
    throw new FrondError("BAD_ADDRESS", `an address is at most ${MAX_ADDRESS_BYTES} bytes long`);
  }
}
