// `npm run torture`: many rounds, a line for each.
//
// Rule: the seed is printed first, so that a failure can be met again; the exit code says whether every promise was kept.

import { parseArgs } from "node:util";
import { tortureAlarms } from "./alarms.ts";
import { type Breakage, BREAKAGES } from "./breakage.ts";
import { type Loss, tortureBucket } from "./bucket.ts";
import type { FaultKind } from "./plan.ts";
import { type LoadKind, torture } from "./torture.ts";

const USAGE = `usage: npm run torture -- [--rounds 100] [--seed N] [--fault kill|power|both] [--load books|actors|both]
       [--broken ${BREAKAGES.join("|")}]
       npm run torture -- --what alarms [--rounds 100] [--seed N]
       npm run torture -- --what bucket [--rounds 100] [--seed N] [--broken ...]`;
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
  [undefined, "alarms", "bucket"].includes(values.what) &&
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
if (values.what === "bucket") {
  console.log(`seed ${seed}, ${rounds} rounds`);
  const { violations, directory, acknowledged, losses, named } = await tortureBucket({
    rounds,
    seed,
    log: (line) => console.log(line),
    ...(broken !== undefined && { broken: broken as Breakage }),
  });
  const counts = Object.entries(acknowledged).map(([level, count]) => `${count} at ${level}`);
  console.log(`acknowledged: ${counts.join(", ")}; disks that came back named ${named} commits as lost`);
  for (const line of lossLines(losses)) console.log(line);
  console.log(violations.length === 0 ? "every promise was kept" : `VIOLATED; everything lies in ${directory}`);
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

/** What was lost, as its level allows, and how old it was. */
function lossLines(losses: readonly Loss[]): string[] {
  const groups = Map.groupBy(losses, (loss) => `lost at ${loss.level} after ${loss.fault}`);
  return [...groups].map(([name, group]) => {
    const ages = group.map(({ ageMs }) => ageMs).sort((a, b) => a - b);
    const at = (share: number): number => ages[Math.floor((ages.length - 1) * share)] as number;
    return `${name}: ${ages.length}, aged ${at(0.5)} ms in the median, ${at(0.9)} at 90 %, ${at(1)} at most`;
  });
}
