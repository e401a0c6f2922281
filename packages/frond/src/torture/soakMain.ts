// `npm run soak`: the soak with a line a minute, or with its result as JSON.
//
// Rule: the seed is printed first; the exit code says whether all is well. With --json only the result is on standard output,
// and people see the lines on standard error.

import { parseArgs } from "node:util";
import { soak, type Slopes } from "./soak.ts";

const USAGE = `usage: npm run soak -- [--minutes 30] [--seed N] [--rate 150] [--life 240] [--max-rss-slope 1] [--max-fd-slope 2] [--json]
  --rate           calls per second
  --life           seconds between kills; there are a few shorter lives in between
  --max-rss-slope  MiB per minute that memory may grow after the first minute of a life, and from life to life
  --max-fd-slope   descriptors per minute`;
/** The beginning of a life that does not count, in seconds: of a shorter life at most half. */
const WARM_UP = 60;
const EVERY = 10;

const text = { type: "string" } as const;
const options = { minutes: text, seed: text, rate: text, life: text, "max-rss-slope": text, "max-fd-slope": text };
const { values } = parseArgs({ options: { ...options, json: { type: "boolean" } } });
const minutes = Number(values.minutes ?? 30);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const rate = Number(values.rate ?? 150);
const life = Number(values.life ?? 240);
const maxRssSlope = Number(values["max-rss-slope"] ?? 1);
const maxFdSlope = Number(values["max-fd-slope"] ?? 2);
if (!(minutes > 0 && Number.isInteger(seed) && rate > 0 && life > 0 && maxRssSlope >= 0 && maxFdSlope >= 0)) {
  console.error(USAGE);
  process.exit(2);
}
const say = (line: string): void => (values.json === true ? console.error(line) : console.log(line));
say(`seed ${seed}, ${minutes} minutes, ${rate} calls per second, a kill every ${life} s or sooner`);
const result = await soak({
  seconds: minutes * 60,
  seed,
  rate,
  life,
  warmUp: Math.min(WARM_UP, life / 2),
  every: EVERY,
  maxRssSlope,
  maxFdSlope,
  log: say,
});
for (const violation of result.violations) say(`  ${violation}`);
say(`${result.kills} kills, ${result.answered} answers, ${result.acknowledged} writes acknowledged`);
say(`memory: ${slopes(result.rss, "MiB")}; descriptors: ${slopes(result.fds, "")}`);
say(result.violations.length === 0 ? "nothing was lost, nothing grew" : `FAILED; the data is in ${result.directory}`);
if (values.json === true) console.log(JSON.stringify(result));
process.exitCode = result.violations.length === 0 ? 0 : 1;

function slopes({ within, between }: Slopes, unit: string): string {
  const shown = (slope: number | undefined): string =>
    slope === undefined ? "too little was seen" : `${slope >= 0 ? "+" : ""}${slope.toFixed(2)} ${unit}`.trim();
  return `${shown(within)} a minute within lives, ${shown(between)} a minute between them`;
}
