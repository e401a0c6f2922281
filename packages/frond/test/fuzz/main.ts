// `npm run fuzz`: fresh cases for every target, until the time is up.
//
// Rule: the seed is printed first and each failure says how to repeat it. Every round of a target runs in a process of
// its own, with a bound on time and memory that only a hang or a leak meets: a decoder that never returns, or takes the
// process along, is a finding like any other, and `--trace` then shows the case.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TARGETS } from "./targets.ts";

const USAGE = `usage: npm run fuzz -- [--seconds 60] [--seed N] [--target NAME] [--trace]
targets: ${TARGETS.map(({ name }) => name).join(", ")}`;
/** Longest time of one round, in ms, and most memory, in KiB. */
const ROUND_MS = 120_000;
const ROUND_KIB = 1024 * 1024;

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    seed: { type: "string" },
    target: { type: "string" },
    trace: { type: "boolean" },
    round: { type: "boolean" },
  },
});
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const chosen = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
if (!(seconds > 0) || !Number.isInteger(seed) || chosen.length === 0) {
  console.error(USAGE);
  process.exit(2);
}
if (values.round === true) process.exitCode = await round();
else process.exitCode = await rounds();

/** Rounds of the chosen targets in turn; the seed rises by one with every turn. */
async function rounds(): Promise<number> {
  console.log(`seed ${seed}, ${seconds} s: repeat with npm run fuzz -- --seed ${seed}`);
  const end = Date.now() + seconds * 1000;
  let failed = 0;
  let turns = 0;
  do {
    for (const { name } of chosen) {
      if (turns > 0 && Date.now() >= end) break;
      const ended = await spawnRound(name, seed + turns);
      if (ended === undefined) continue;
      failed += 1;
      console.log(`${name}: ${ended}; repeat with: npm run fuzz -- --target ${name} --seed ${seed + turns}`);
    }
    turns += 1;
  } while (Date.now() < end && failed === 0);
  console.log(failed === 0 ? `${turns} turns of ${chosen.length} targets: nothing found` : `${failed} FAILED`);
  return failed === 0 ? 0 : 1;
}

/** Runs one round as a process; how it failed, or undefined. */
function spawnRound(name: string, roundSeed: number): Promise<string | undefined> {
  const trace = values.trace === true ? ["--trace"] : [];
  const args = [fileURLToPath(import.meta.url), "--round", "--target", name, "--seed", String(roundSeed), ...trace];
  const child = spawn(process.execPath, [...process.execArgv, "--max-old-space-size=768", ...args], {
    stdio: "inherit",
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), ROUND_MS);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(undefined);
      resolve(signal === null ? `failed (exit code ${code})` : `ended by ${signal} (a hang ends by SIGKILL)`);
    });
  });
}

async function round(): Promise<number> {
  const [one] = chosen;
  if (one === undefined) return 2;
  const trace = values.trace === true ? (shown: string) => console.log(shown) : undefined;
  const failure = await one.run(one.slice * 4, seed, trace);
  if (failure !== undefined) console.log(failure);
  const { maxRSS } = process.resourceUsage();
  if (maxRSS > ROUND_KIB) console.log(`${one.name}: took ${Math.round(maxRSS / 1024)} MiB of memory`);
  return failure !== undefined || maxRSS > ROUND_KIB ? 1 : 0;
}
