// Every entrance that is fuzzed, by name.
//
// Rule: what decodes bytes, or takes text from outside, stands here; `npm test` runs a slice of each with a fixed seed,
// `npm run fuzz` as much as there is time for.

import { headersTarget } from "./headers.ts";
import { logTarget } from "./logFiles.ts";
import { recordTarget } from "./record.ts";
import type { Target } from "./target.ts";
import { walTarget } from "./wal.ts";

export const TARGETS: readonly Target[] = [walTarget(), recordTarget(), headersTarget(), logTarget()];
