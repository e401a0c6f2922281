// `npm run bench:loss`: what each level of durability loses when a node is killed, and what it costs.
//
// Rule: kills go round over levels and over what is lost with the process, so that a change of the machine meets all alike. What
// a level promises to keep and does not is a failure, told with exit code 1. With --write, results/loss-DATE.json, the tables of
// README.md and docs/loss.svg are made anew; they say how many kills they rest on.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { wrkVersion } from "./driver.ts";
import { type Cost, costOf } from "./lossCost.ts";
import { GONE, type Killed, killOnce, LEVELS } from "./lossKill.ts";
import { lossPicture } from "./lossPicture.ts";
import { broken, lossReport, type LossResults } from "./lossReport.ts";
import { checkMachine, conditions } from "./machine.ts";
import { intoReadme } from "./report.ts";

const USAGE = `npm run bench:loss -- [options]
  --kills N      kills in all (default 300)
  --seconds N    time of load for the cost of a level (default 20)
  --data DIR     where nodes keep their data and buckets (default: the temporary directory)
  --name NAME    name of the results (default: loss-DATE)
  --write        writes the results, the tables and the picture; else it only prints`;
const KILLS = 300;

interface Options {
  readonly kills: number;
  readonly seconds: number;
  readonly data: string;
  readonly name: string;
  readonly write: boolean;
}

function readOptions(): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      kills: text,
      seconds: text,
      data: text,
      name: text,
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const [kills, seconds] = [Number(values.kills ?? KILLS), Number(values.seconds ?? 20)];
  if (!Number.isInteger(kills) || kills < 0 || !Number.isInteger(seconds) || seconds < 1) throw new Error(USAGE);
  const name = values.name ?? `loss-${new Date().toISOString().slice(0, 10)}`;
  return { kills, seconds, data: values.data ?? tmpdir(), name, write: values.write };
}

async function measure({ kills, seconds, name }: Options, directory: string): Promise<LossResults> {
  const measuredOn = conditions(directory, { wrk: await wrkVersion() });
  const costs: Cost[] = [];
  for (const level of LEVELS) {
    const cost = await costOf(directory, level, seconds);
    costs.push(cost);
    console.log(`${level}: ${Math.round(cost.rate)} writes/s, ${cost.requests.toFixed(2)} requests/s to the bucket`);
  }
  const all: Killed[] = [];
  for (let i = 0; i < kills; i++) {
    const [level, gone] = [LEVELS[i % 3], GONE[Math.floor(i / 3) % 2]];
    if (level === undefined || gone === undefined) continue;
    const killed = await killOnce(directory, level, gone);
    all.push(killed);
    const oldest = Math.max(0, ...killed.agesMs).toFixed(0);
    const lost = `${killed.agesMs.length} of ${killed.told} lost${killed.agesMs.length === 0 ? "" : `, the oldest ${oldest} ms old`}`;
    console.log(`kill ${i + 1}/${kills}  ${level.padEnd(6)}  ${gone.padEnd(7)}  ${lost}`);
  }
  return { name, conditions: measuredOn, kills: all, costs };
}

async function main(): Promise<void> {
  const options = readOptions();
  checkMachine();
  const directory = mkdtempSync(join(options.data, "frond-bench-"));
  try {
    const results = await measure(options, directory);
    const text = lossReport(results);
    console.log(`\n${text}`);
    if (options.write) write(results, text);
    if (broken(results).length > 0) process.exitCode = 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function write(results: LossResults, text: string): void {
  const here = import.meta.dirname;
  const readme = join(here, "README.md");
  mkdirSync(join(here, "results"), { recursive: true });
  writeFileSync(join(here, "results", `${results.name}.json`), `${JSON.stringify(results)}\n`);
  writeFileSync(readme, intoReadme(readFileSync(readme, "utf8"), text, "loss"));
  writeFileSync(join(here, "..", "docs", "loss.svg"), lossPicture(results));
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
