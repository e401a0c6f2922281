// `frond doctor`: whether this machine, this data directory and this bucket will do. What it looks at stands in checkup.ts.
//
// Rule: each check is told as it ends, and on a terminal the one that is under way; nothing that fails hides another one
// that could have been made.

import type { Command } from "commander";
import { FrondError } from "../errors.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import type { OperatorView } from "../server/operator/controlClient.ts";
import type { Finding, Listener } from "./checkup.ts";
import { EXIT_FAILED } from "./exits.ts";
import { find } from "./operator.ts";
import { type BucketFlags, bucketFrom, bucketOptions, dataOption, jsonOption } from "./options.ts";
import { print, printJson, showValue } from "./output.ts";

interface Options extends BucketFlags {
  readonly data?: string;
  readonly json?: true;
}

const DOCTOR_HELP = `
Without --bucket: FROND_BUCKET, else the bucket of the data directory. The bucket is tried with some 150 small requests below
the prefix probe/, which is removed again: that one of several concurrent creates wins is what everything rests on. A node may
run meanwhile.

Exit codes: 0 it will do (warnings included), 1 something will not, 2 wrong usage.

Examples:
  frond doctor
  frond doctor --bucket s3://acme-shop/frond
  frond doctor --bucket s3://shop/frond --s3-endpoint http://127.0.0.1:9000 --json`;

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("try whether this machine, the data directory and a bucket will do")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", DOCTOR_HELP)
    .action(doctor);
  for (const option of bucketOptions()) command.addOption(option);
}

async function doctor(options: Options): Promise<void> {
  const named = bucketFrom(options);
  const { directory, view } = await placeOf(options.data);
  // Loaded only here: the other commands need none of it.
  const { bucketOfDirectory, checkBucket, checkHost } = await import("./checkup.ts");
  const findings: Finding[] = [];
  const listener = listen(findings, options.json === true);
  let bucket: BucketSpec | undefined;
  try {
    await checkHost(directory, view, listener);
    bucket = named ?? bucketOfDirectory(directory);
    if (bucket !== undefined) await checkBucket(bucket, directory, listener);
  } finally {
    listener.end();
    await view?.close();
  }
  const failed = findings.filter(({ level }) => level === "fail").length;
  const warned = findings.filter(({ level }) => level === "warn").length;
  if (options.json === true) {
    await printJson({ ok: failed === 0, data: directory ?? null, bucket: bucket?.url ?? null, checks: findings });
  } else await print(`${conclude(failed, warned, bucket)}\n`);
  if (failed > 0) process.exitCode = EXIT_FAILED;
}

function conclude(failed: number, warned: number, bucket: BucketSpec | undefined): string {
  const none = bucket === undefined ? "; no bucket was looked at: there is none yet, or name one with --bucket" : "";
  if (failed > 0) return `${failed} of the checks failed${none}`;
  return `${warned === 0 ? "all is well" : `it will do; ${warned} to think about`}${none}`;
}

/** The data directory, which need not be there: a bucket can be tried before anything else is. */
async function placeOf(data: string | undefined): Promise<{ directory?: string; view?: OperatorView | undefined }> {
  try {
    return await find(data);
  } catch (error) {
    if (error instanceof FrondError && error.code === "NO_DATA") return {};
    throw error;
  }
}

const MARKS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
/** Width of the names of checks. Count of characters. */
const WIDTH = 11;

function listen(findings: Finding[], json: boolean): Listener & { end(): void } {
  const shows = process.stderr.isTTY === true && !json;
  const clear = (): void => void (shows && process.stderr.write("\r\x1b[K"));
  return {
    began(check) {
      if (shows) process.stderr.write(`\r\x1b[K...   ${check}`);
    },
    found(finding) {
      findings.push(finding);
      clear();
      if (!json) process.stdout.write(lineOf(finding));
    },
    end: clear,
  };
}

function lineOf({ check, level, saw, ms }: Finding): string {
  const lines = saw.split("\n").map(showValue);
  const time = ms < SHOWN_MS ? "" : ` (${ms} ms)`;
  const indent = `\n${" ".repeat(MARKS.ok.length + 2 + WIDTH + 2)}`;
  return `${MARKS[level]}  ${check.padEnd(WIDTH)}  ${lines.join(indent)}${time}\n`;
}

/** What takes less is not worth telling, in ms. */
const SHOWN_MS = 2;
