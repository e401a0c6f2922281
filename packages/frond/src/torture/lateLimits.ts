// The limits of a broken thread of the bucket: a segment that nobody waits for closes when it is full, and not before.

export * from "../limits.ts";

export const FLUSH_MS = 3_600_000;
