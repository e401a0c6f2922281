// `npm run bench`: the whole comparison, its progress, its results.
//
// Rule: a full run writes bench/results/NAME.json and the tables of bench/README.md; a partial or quick run only prints,
// so that what is committed was always measured by the whole method. Ends with 1 when a target failed.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CELLS } from "./counters.ts";
import { drive, WORKLOADS, wrkVersion } from "./driver.ts";
import type { Workload } from "./driver.ts";
import { checkMachine, conditions, DRIVER_CORE, pinned, SERVER_CORE } from "./machine.ts";
import { intoReadme, report } from "./report.ts";
import type { Figure, Results } from "./report.ts";
import { compare } from "./run.ts";
import type { Settings } from "./run.ts";
import { BASELINE, TARGETS } from "./targets.ts";

const USAGE = `npm run bench -- [options]
  --quick              a smoke run: short slices, one pair; only prints
  --only A,B           these targets and the baseline; only prints
  --workloads A,B      of ${Object.keys(WORKLOADS).join(", ")}; only prints
  --seconds N          length of a slice (default 3)
  --pairs N            pairs that must count per target and workload (default 5)
  --tries N            pairs after which a target is given up (default 15)
  --data DIR           where targets keep their data (default: the temporary directory)
  --name NAME          name of the results (default: the date)`;

/** Benches of one thing each; each prints one line of JSON, a list of figures. Those that drive a node pin themselves. */
const IN_PROCESS = ["commits.ts", "calls.ts", "memory.ts", "activation.ts", "largeCells.ts"];
const OF_PROCESSES = ["recovery.ts", "sockets.ts", "neighbours.ts", "largeWork.ts"];

const FULL = { seconds: 3, pairs: 5, tries: 15 };
const QUICK = { seconds: 1, pairs: 1, tries: 2 };

interface Options {
  readonly settings: Settings;
  readonly targets: typeof TARGETS;
  readonly data: string;
  readonly name: string;
  readonly quick: boolean;
  /** Every target, every workload, full length: fit to be committed. */
  readonly whole: boolean;
}

function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      only: text,
      workloads: text,
      seconds: text,
      pairs: text,
      tries: text,
      data: text,
      name: text,
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const usual = values.quick ? QUICK : FULL;
  const workloads = chosen("--workloads", values.workloads, Object.keys(WORKLOADS)) as Workload[];
  const names = chosen("--only", values.only, Object.keys(TARGETS));
  if (!names.includes(BASELINE)) names.unshift(BASELINE);
  return {
    settings: {
      seconds: positive("--seconds", values.seconds ?? usual.seconds),
      warmUpSeconds: 1,
      pairs: positive("--pairs", values.pairs ?? usual.pairs),
      tries: positive("--tries", values.tries ?? usual.tries),
      workloads,
    },
    targets: Object.fromEntries(Object.entries(TARGETS).filter(([name]) => names.includes(name))),
    data: values.data ?? tmpdir(),
    name: values.name ?? new Date().toISOString().slice(0, 10),
    quick: values.quick,
    whole: !values.quick && values.only === undefined && values.workloads === undefined,
  };
}

function chosen(option: string, value: string | undefined, all: readonly string[]): string[] {
  const names = value?.split(",") ?? [...all];
  const wrong = names.find((name) => !all.includes(name));
  if (wrong !== undefined) throw new Error(`${option}: ${JSON.stringify(wrong)} is none of ${all.join(", ")}`);
  return names;
}

function positive(option: string, value: string | number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option}: ${value} is not a whole number above 0`);
  return number;
}

async function inProcess(quick: boolean, data: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const script of [...IN_PROCESS, ...OF_PROCESSES]) {
    const flags = ["--conditions=frond-source", "--expose-gc"];
    const args = [...flags, join(import.meta.dirname, script), data, ...(quick ? ["--quick"] : [])];
    const core = IN_PROCESS.includes(script) ? SERVER_CORE : DRIVER_CORE;
    const [file, ...rest] = pinned(core, [process.execPath, ...args]);
    const { stdout } = await promisify(execFile)(file as string, rest);
    for (const figure of JSON.parse(stdout) as Figure[]) {
      console.log(`${figure.title}: ${figure.value.median.toFixed(1)} ${figure.unit}`);
      figures.push(figure);
    }
  }
  return figures;
}

function write(results: Results): void {
  const readme = join(import.meta.dirname, "README.md");
  const directory = join(import.meta.dirname, "results");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${results.name}.json`), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(readme, intoReadme(readFileSync(readme, "utf8"), report(results)));
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  checkMachine();
  const wrk = await wrkVersion();
  const directory = mkdtempSync(join(options.data, "frond-bench-"));
  // An interrupt must reach the servers' `finally`, so it becomes a failure of the next slice instead of an end.
  let interrupted = false;
  process.once("SIGINT", () => (interrupted = true));
  try {
    const measuredOn = conditions(directory, { wrk });
    const compared = await compare({
      targets: options.targets,
      baseline: BASELINE,
      settings: options.settings,
      cells: CELLS,
      directory,
      drive: (...load) => {
        if (interrupted) throw new Error("interrupted");
        return drive(...load);
      },
      progress: (line) => console.log(line),
    });
    const results: Results = {
      name: options.name,
      conditions: { ...measuredOn, versions: { ...measuredOn.versions, ...compared.versions } },
      settings: options.settings,
      ...compared,
      inProcess: await inProcess(options.quick, directory),
    };
    console.log(`\n${report(results)}`);
    if (options.whole && !interrupted) write(results);
    if (Object.keys(results.failures).length > 0) process.exitCode = 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
