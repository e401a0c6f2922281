// `npm run torture`: many rounds, a line for each.
//
// Rule: the seed is printed first, so that a failure can be met again; the exit code says whether every promise was kept.

import { parseArgs } from "node:util";
import { tortureAlarms } from "./alarms.ts";
import { type Breakage, BREAKAGES } from "./breakage.ts";
import type { FaultKind } from "./plan.ts";
import { type LoadKind, torture } from "./torture.ts";

const USAGE = `usage: npm run torture -- [--rounds 100] [--seed N] [--fault kill|power|both] [--load books|actors|both]
       [--broken ${BREAKAGES.join("|")}]
       npm run torture -- --what alarms [--rounds 100] [--seed N]`;
const FAULTS: readonly string[] = ["kill", "power", "both"] satisfies FaultKind[];
const LOADS: readonly string[] = ["books", "actors", "both"] satisfies LoadKind[];

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { what: text, rounds: text, seed: text, fault: text, load: text, broken: text },
});
const rounds = Number(values.rounds ?? 100);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const { fault = "both", load = "both", broken } = values;
const right =
  (values.what === undefined || values.what === "alarms") &&
  Number.isInteger(rounds) &&
  rounds >= 1 &&
  Number.isInteger(seed) &&
  FAULTS.includes(fault) &&
  LOADS.includes(load) &&
  (broken === undefined || BREAKAGES.includes(broken as Breakage));
if (!right) {
  console.error(USAGE);
  process.exit(2);
}
if (values.what === "alarms") {
  console.log(`seed ${seed}, ${rounds} kills`);
  const { violations, directory, ...counts } = await tortureAlarms({ rounds, seed, log: (line) => console.log(line) });
  console.log(`${counts.armed} alarms armed, ${counts.cancelled} cancelled or replaced, ${counts.fired} fired`);
  for (const sentence of violations) console.log(sentence);
  console.log(violations.length === 0 ? "every promise was kept" : `VIOLATED; the data directory is ${directory}`);
  process.exit(violations.length === 0 ? 0 : 1);
}
console.log(`seed ${seed}, ${rounds} rounds, fault ${fault}, load ${load}${broken ? `, broken: ${broken}` : ""}`);
const result = await torture({
  rounds,
  seed,
  fault: fault as FaultKind,
  load: load as LoadKind,
  ...(broken !== undefined && { broken: broken as Breakage }),
  log: (line) => console.log(line),
});
const ends = Object.entries(result.ends).map(([end, count]) => `${count} ${end}`);
console.log(
  `${result.rounds} rounds (${ends.join(", ")}): ${result.acknowledged} writes acknowledged, ${result.told} told`,
);
console.log(
  `${result.records} records in ${result.logFiles} log files; ${result.vandalised} files of cells broken on purpose`,
);
console.log(
  result.violations.length === 0 ? "every promise was kept" : `VIOLATED; the data directory is ${result.directory}`,
);
process.exitCode = result.violations.length === 0 ? 0 : 1;
