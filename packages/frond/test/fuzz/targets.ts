// Every entrance that is fuzzed, by name.
//
// Rule: what decodes bytes, or takes text from outside, stands here; `npm test` runs a slice of each with a fixed seed,
// `npm run fuzz` as much as there is time for.

import { addressTarget } from "./addresses.ts";
import { callsTarget } from "./calls.ts";
import { cellFileTarget } from "./cellFiles.ts";
import { clientValuesTarget } from "./clientValues.ts";
import { controlTarget } from "./control.ts";
import { guardTarget } from "./guard.ts";
import { headersTarget } from "./headers.ts";
import { httpTarget } from "./http.ts";
import { keysTarget } from "./keys.ts";
import { logTarget } from "./logFiles.ts";
import { objectsTarget } from "./objects.ts";
import { forwardedTarget, optionsTarget } from "./options.ts";
import { packsTarget } from "./packs.ts";
import { parametersTarget } from "./parameters.ts";
import { recordTarget } from "./record.ts";
import { scriptTarget } from "./scripts.ts";
import type { Target } from "./target.ts";
import { tailTarget } from "./tail.ts";
import { valuesTarget } from "./values.ts";
import { walTarget } from "./wal.ts";
import { wireTarget } from "./wire.ts";

export const TARGETS: readonly Target[] = [
  walTarget(),
  recordTarget(),
  headersTarget(),
  logTarget(),
  tailTarget(),
  objectsTarget(),
  packsTarget(),
  addressTarget(),
  optionsTarget(),
  forwardedTarget(),
  wireTarget(),
  controlTarget(),
  httpTarget(),
  scriptTarget(),
  guardTarget(),
  parametersTarget(),
  valuesTarget(),
  keysTarget(),
  clientValuesTarget(),
  callsTarget(),
  cellFileTarget(),
];
