// `npm run bench:bucket -- PART`: what the bucket costs and gives, one part at a time.
//
// Rule: what is written to results/ and to the README was measured in full and beside nothing else; without --write a run only
// prints. Ends with 1 when a part fails, not when a goal is missed: that is a result.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureBesideSnapshot } from "./besideSnapshot.ts";
import { type Found, type PartOptions, partReport } from "./bucketPart.ts";
import { measureEmptyDisk } from "./emptyDisk.ts";
import { wrkVersion } from "./driver.ts";
import { checkMachine, conditions } from "./machine.ts";
import { intoReadme } from "./report.ts";
import { measureRequests } from "./requests.ts";
import { measureUploads } from "./uploads.ts";

const PARTS: Readonly<Record<string, (options: PartOptions) => Promise<Found>>> = {
  uploads: measureUploads,
  snapshot: measureBesideSnapshot,
  empty: measureEmptyDisk,
  requests: measureRequests,
};

const USAGE = `npm run bench:bucket -- PART [options]
  PART              one of ${Object.keys(PARTS).join(", ")}
  --s3              also against a real S3 server, Ceph's, which is started for it
  --quick           short, to see that it works; only prints
  --write           writes results/bucket-PART-DATE.json and the part of bench/README.md
  --data DIR        where data lies (default: the temporary directory)
  --name NAME       name of the results (default: bucket-PART-DATE)`;

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values, positionals } = parseArgs({
    options: { s3: flag, quick: flag, write: flag, help: flag, data: text, name: text },
    allowPositionals: true,
  });
  const [part = ""] = positionals;
  const measurePart = PARTS[part];
  if (values.help || measurePart === undefined || (values.quick && values.write)) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  checkMachine();
  const name = values.name ?? `bucket-${part}-${new Date().toISOString().slice(0, 10)}`;
  const directory = mkdtempSync(join(values.data ?? tmpdir(), "frond-bench-"));
  try {
    const measuredOn = conditions(directory, { wrk: await wrkVersion() });
    const { s3, quick } = values;
    const found = await measurePart({ s3, quick, directory, progress: (line) => console.log(line) });
    const report = partReport(name, measuredOn, found);
    console.log(`\n${report}`);
    if (!values.write) return;
    const here = import.meta.dirname;
    mkdirSync(join(here, "results"), { recursive: true });
    const results = { name, conditions: measuredOn, ...found };
    writeFileSync(join(here, "results", `${name}.json`), `${JSON.stringify(results)}\n`);
    const readme = join(here, "README.md");
    writeFileSync(readme, intoReadme(readFileSync(readme, "utf8"), report, part));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
