// The limits of a thread of the bucket that packs, checkpoints and cleans up all the time; see bucketStandIn.ts.
//
// Rule: only how often and how soon something is done is smaller; what a size or a time protects from stays as it is, or as short
// as one machine with one clock allows.

export * from "../limits.ts";

export const PACK_SEGMENTS = 3;
export const PACK_AFTER_MS = 300;
export const PACK_LOOK_MS = 100;
export const PACK_FAN_IN = 2;
export const PACK_GRACE_MS = 3_000;
export const CHECKPOINT_BYTES_CHANGED = 4 * 1024;
export const CHECKPOINT_PAUSE_MS = 400;
export const CHECKPOINT_PACE_MS = 50;
export const CHECKPOINT_RANGES = 2;
export const CHECKPOINT_RETRY_MS = 200;
export const PACK_RETRY_MS = 200;
export const HOUSEKEEPING_LOOK_MS = 100;
export const LARGE_CELL_BYTES = 32 * 1024;
export const SNAPSHOT_DELTA_BYTES = 16 * 1024;
export const SLOT_RECORD_KEEP_MS = 3_000;
export const CLEAN_UP_MS = 700;
export const FIRST_CLEAN_UP_MS = 300;
export const CLEAN_UP_REQUESTS_PER_DAY = 1e9;
export const CLOCK_MARGIN_MS = 1_000;
export const MAX_SLOT_SOURCES = 8;
