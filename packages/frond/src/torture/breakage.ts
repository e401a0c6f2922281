// How a build may be broken, by name.
//
// Rule: only names; what a name does stands where it is done (powerIo.ts, entry.ts, mutants.ts, bucketStandIn.ts), in the process that is broken.

/** All names. The first three break the seams of a node, the others are mutants; the last ones need a bucket to be seen. */
export const BREAKAGES = [
  "no-gate",
  "ack-before-write",
  "ack-before-sync",
  "ungated-errors",
  "unmerged-watermarks",
  "unmerged-bucket",
  "shared-stretches",
  "ungated-chunks",
  "no-tombstone",
  "open-transaction",
  "early-bucket",
  "trusted-files",
  "serving-after-lapse",
  "reused-positions",
  "late-flush",
] as const;

export type Breakage = (typeof BREAKAGES)[number];
