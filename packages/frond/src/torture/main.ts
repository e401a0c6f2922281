// `npm run torture`: many rounds, a line for each.
//
// Rule: the seed is printed first, so that a failure can be met again; the exit code says whether every promise was kept.

import { parseArgs } from "node:util";
import { tortureAlarms } from "./alarms.ts";
import { type Breakage, BREAKAGES } from "./breakage.ts";
import { type BucketTortureResult, tortureBucket } from "./bucket.ts";
import { tortureAway } from "./bucketAway.ts";
import { lossLines } from "./bucketLosses.ts";
import type { FaultKind } from "./plan.ts";
import { type LoadKind, torture } from "./torture.ts";

const USAGE = `usage: npm run torture -- [--rounds 100] [--seed N] [--fault kill|power|both] [--load books|actors|both]
       [--broken ${BREAKAGES.join("|")}]
       npm run torture -- --what alarms [--rounds 100] [--seed N]
       npm run torture -- --what bucket [--bucket dir|s3] [--rounds 100] [--seed N] [--broken ...]
       npm run torture -- --what away [--bucket dir|s3] [--seconds 60] [--seed N]`;
const FAULTS: readonly string[] = ["kill", "power", "both"] satisfies FaultKind[];
const LOADS: readonly string[] = ["books", "actors", "both"] satisfies LoadKind[];

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { what: text, rounds: text, seed: text, fault: text, load: text, broken: text, bucket: text, seconds: text },
});
const rounds = Number(values.rounds ?? 100);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const seconds = Number(values.seconds ?? 60);
const { fault = "both", load = "both", broken, bucket = "dir" } = values;
const right =
  [undefined, "alarms", "bucket", "away"].includes(values.what) &&
  ["dir", "s3"].includes(bucket) &&
  seconds > 0 &&
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
if (values.what === "bucket" || values.what === "away") process.exit(await withBucket());
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

/** Rounds with a bucket, in a folder or in a store that is started for it. The exit code. */
async function withBucket(): Promise<number> {
  const s3 = bucket === "s3" ? await import("./bucketS3.ts") : undefined;
  const server = await s3?.startS3Server();
  const place = server && (await s3?.S3Place.make(server));
  const options = { rounds, seed, log: (line: string) => console.log(line), ...(place && { place }) };
  const isAway = values.what === "away";
  console.log(`seed ${seed}, bucket ${bucket}, ${isAway ? `away for ${seconds} s` : `${rounds} rounds`}`);
  try {
    const rest = broken === undefined ? {} : { broken: broken as Breakage };
    return tell(
      isAway ? await tortureAway({ ...options, awayMs: seconds * 1000 }) : await tortureBucket({ ...options, ...rest }),
    );
  } finally {
    await server?.end();
  }
}

function tell({ violations, directory, acknowledged, losses, named, ...counts }: BucketTortureResult): number {
  const list = (of: Readonly<Record<string, number>>, word: string): string =>
    Object.entries(of)
      .map(([name, count]) => `${count} ${word}${name}`)
      .join(", ");
  console.log(list(counts.ends, ""));
  console.log(`acknowledged: ${list(acknowledged, "at ")}; disks that came back named ${named} commits as lost`);
  console.log(`${counts.overloaded} questions behind a lease were answered with OVERLOADED, none with a value`);
  for (const line of lossLines(losses)) console.log(line);
  console.log(violations.length === 0 ? "every promise was kept" : `VIOLATED; everything lies in ${directory}`);
  return violations.length === 0 ? 0 : 1;
}
