// `npm run torture`: many rounds, a line for each.
//
// Rule: the seed is printed first, so that a failure can be met again; the exit code says whether every promise was kept.

import { parseArgs } from "node:util";
import type { FaultKind } from "./plan.ts";
import { torture } from "./torture.ts";

const USAGE = "usage: npm run torture -- [--rounds 100] [--seed N] [--fault kill|power|both]";

const { values } = parseArgs({
  options: { rounds: { type: "string" }, seed: { type: "string" }, fault: { type: "string" } },
});
const rounds = Number(values.rounds ?? 100);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const fault = values.fault ?? "both";
if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed) || !["kill", "power", "both"].includes(fault)) {
  console.error(USAGE);
  process.exit(2);
}
console.log(`seed ${seed}, ${rounds} rounds, fault ${fault}`);
const result = await torture({
  rounds,
  seed,
  fault: fault as FaultKind,
  log: (line) => console.log(line),
});
const ends = Object.entries(result.ends).map(([end, count]) => `${count} ${end}`);
console.log(`${result.rounds} rounds (${ends.join(", ")}): ${result.acknowledged} writes acknowledged`);
console.log(
  `${result.records} records in ${result.logFiles} log files; ${result.vandalised} files of cells broken on purpose`,
);
console.log(
  result.violations.length === 0 ? "every promise was kept" : `VIOLATED; the data directory is ${result.directory}`,
);
process.exitCode = result.violations.length === 0 ? 0 : 1;
