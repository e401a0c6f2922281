// Bytes that were right, and then were not: what disks, networks and other software make of them.
//
// Rule: a mutation is data (so a failing case shows it and shrinks), applied to a copy. Most keep the bytes near to what
// is right, since a decoder's last checks are reached only by bytes that pass its first ones.

import fc from "fast-check";

/** One change. Places are parts of 2^32, so that they fit bytes of any length. */
export type Mutation =
  | { readonly do: "flip"; readonly at: number; readonly bit: number }
  | { readonly do: "byte"; readonly at: number; readonly to: number }
  | { readonly do: "word"; readonly at: number; readonly to: number; readonly big: boolean }
  | { readonly do: "truncate"; readonly at: number }
  | { readonly do: "zero"; readonly at: number; readonly bytes: number }
  | { readonly do: "noise"; readonly at: number; readonly noise: Uint8Array }
  | { readonly do: "insert"; readonly at: number; readonly noise: Uint8Array }
  | { readonly do: "remove"; readonly at: number; readonly bytes: number }
  | { readonly do: "copy"; readonly at: number; readonly from: number; readonly bytes: number };

const part = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const noise = fc.uint8Array({ minLength: 1, maxLength: 24 });
const length = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constantFrom(512, 4096));
/** Numbers at which counts and sizes go wrong. */
const word = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 255, 256, 511, 512, 513, 1024, 65_535, 65_536, 2 ** 21, 2 ** 31 - 1, 2 ** 31),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32 - 2, 2 ** 32 - 4, 2 ** 32 - 52, 2 ** 30, 0x43455246, 0x54414246),
  fc.nat(300),
  part,
);

export const anyMutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("flip" as const), at: part, bit: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("byte" as const), at: part, to: fc.nat(255) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("word" as const), at: part, to: word, big: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("truncate" as const), at: part }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("zero" as const), at: part, bytes: length }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("noise" as const), at: part, noise }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("insert" as const), at: part, noise }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), at: part, bytes: length }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("copy" as const), at: part, from: part, bytes: length }) },
);

/** A few changes, mostly one. */
export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(anyMutation, { maxLength: 4, size: "small" });

/** A copy of `bytes` with the changes made, one after the other. */
export function mutate(bytes: Uint8Array, changes: readonly Mutation[]): Buffer {
  let now: Buffer = Buffer.from(bytes);
  for (const change of changes) now = apply(now, change);
  return now;
}

function apply(bytes: Buffer, change: Mutation): Buffer {
  const at = Math.floor((change.at / 2 ** 32) * (bytes.length + 1));
  switch (change.do) {
    case "flip":
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << change.bit);
      return bytes;
    case "byte":
      if (at < bytes.length) bytes[at] = change.to;
      return bytes;
    case "word": {
      const place = at & ~3;
      if (place + 4 > bytes.length) return bytes;
      if (change.big) bytes.writeUInt32BE(change.to, place);
      else bytes.writeUInt32LE(change.to, place);
      return bytes;
    }
    case "truncate":
      return bytes.subarray(0, at);
    case "zero":
      return bytes.fill(0, at, Math.min(bytes.length, at + change.bytes));
    case "noise":
      Buffer.from(change.noise).copy(bytes, at);
      return bytes;
    case "insert":
      return Buffer.concat([bytes.subarray(0, at), change.noise, bytes.subarray(at)]);
    case "remove":
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + change.bytes)]);
    case "copy": {
      const from = Math.floor((change.from / 2 ** 32) * (bytes.length + 1));
      bytes.copyWithin(at, from, Math.min(bytes.length, from + change.bytes));
      return bytes;
    }
  }
}
