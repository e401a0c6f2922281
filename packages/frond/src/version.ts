// The version of frond, as `frond version` tells it; the same as in package.json, which a test compares.

/** Semantic version of this package. */
export const VERSION = "0.1.0";
