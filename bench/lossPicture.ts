// The loss bench as a picture: what each level loses when a node is killed, and what it costs.
//
// Rule: every lost write is a dot at its age, nothing is smoothed; the colours follow the reader's light or dark page. Text of
// SVG alone, without a library: there are two panels and one scale each.

import type { Cost } from "./lossCost.ts";
import type { Level } from "./lossKill.ts";
import { GONE_TEXTS, groupsOf, type LossGroup, type LossResults } from "./lossReport.ts";

const WIDTH = 860;
const LEFT = 290;
const RIGHT = 820;
const ROW = 44;
const TOP = 74;
/** Dots in a row above this are thinned out evenly; the oldest stays. */
const MOST_DOTS = 600;
/** What the words beside a bar take. */
const ROOM = 110;
/** The scale of latencies, in ms: each step is ten times the one before. */
const DECADES = [0.1, 1, 10, 100, 1_000];

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-size: 16px; font-weight: 600 }
  .small { font-size: 11px; fill: #57606a } .end { text-anchor: end } .middle { text-anchor: middle }
  line { stroke: #d0d7de } .memory { fill: #bc4c00 } .disk { fill: #0969da } .bucket { fill: #1a7f37 }
  circle { fill-opacity: 0.35 } .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } line { stroke: #3d444d } .paper { fill: #0d1117 }
    .memory { fill: #f0883e } .disk { fill: #58a6ff } .bucket { fill: #3fb950 }
  }`;

/** The picture, a whole SVG document. */
export function lossPicture(results: LossResults): string {
  const groups = groupsOf(results);
  const second = TOP + groups.length * ROW + 84;
  const height = second + 30 + results.costs.length * ROW + 50;
  const body = [
    ...lossPanel(groups, results.kills.length),
    ...costPanel(results.costs, second),
    text(
      20,
      height - 12,
      "small",
      `${results.name}, commit ${results.conditions.commit}; the bucket is a folder on the same disk`,
    ),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${summary(groups)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>`,
    ...body,
    "</svg>\n",
  ].join("\n");
}

/** What the first panel says, for those who do not see it. */
function summary(groups: readonly LossGroup[]): string {
  const parts = groups.map(({ level, gone, told, agesMs }) => {
    const oldest = agesMs.length === 0 ? "" : `, the oldest ${ms(agesMs.at(-1) ?? 0)} old`;
    return `${level}, ${GONE_TEXTS[gone]}: ${agesMs.length} of ${told} writes lost${oldest}`;
  });
  return escaped(parts.join("; "));
}

function lossPanel(groups: readonly LossGroup[], kills: number): string[] {
  const most = Math.max(1_000, ...groups.flatMap(({ agesMs }) => agesMs));
  const step = [250, 500, 1_000, 2_000, 5_000].find((size) => most / size <= 6) ?? 10_000;
  const end = Math.ceil(most / step) * step;
  const x = (age: number): number => LEFT + (age / end) * (RIGHT - LEFT);
  const bottom = TOP + groups.length * ROW;
  const lines = [text(20, 30, "title", `What is lost: ${kills} kills at random moments under load`)];
  lines.push(
    text(
      20,
      50,
      "small",
      `A dot is a write that was acknowledged and is gone, at its age when the node was killed; at most ${MOST_DOTS} in a row.`,
    ),
  );
  for (let age = 0; age <= end; age += step) {
    lines.push(rule(x(age), TOP, x(age), bottom), text(x(age), bottom + 16, "small middle", ms(age)));
  }
  for (const [i, { level, gone, told, agesMs }] of groups.entries()) {
    const y = TOP + i * ROW + ROW / 2;
    lines.push(text(20, y - 3, "", `${level}`), text(20, y + 12, "small", GONE_TEXTS[gone]));
    lines.push(
      text(LEFT - 12, y - 3, "end", String(agesMs.length)),
      text(LEFT - 12, y + 12, "small end", `of ${told} lost`),
    );
    for (const [n, age] of thinned(agesMs).entries()) lines.push(dot(x(age), y + scatter(n), level));
  }
  return lines;
}

function costPanel(costs: readonly Cost[], top: number): string[] {
  const [first = 1] = DECADES;
  const span = Math.log10((DECADES.at(-1) ?? 1) / first);
  const x = (value: number): number => LEFT + (Math.log10(Math.max(value, first) / first) / span) * (RIGHT - LEFT);
  const bottom = top + 30 + costs.length * ROW;
  const lines = [text(20, top, "title", "What it costs: time to an answer, from p50 to p99, logarithmic")];
  for (const decade of DECADES) {
    lines.push(rule(x(decade), top + 16, x(decade), bottom), text(x(decade), bottom + 16, "small middle", ms(decade)));
  }
  for (const [i, { level, rate, p50, p99, requests, dollarsADay }] of costs.entries()) {
    const y = top + 30 + i * ROW + ROW / 2;
    const facts = `${Math.round(rate).toLocaleString("en")} writes/s`;
    const money = `${requests.toFixed(1)} requests/s, $${dollarsADay.toFixed(2)} a day at S3`;
    lines.push(text(20, y - 3, "", `${level}: ${facts}`), text(20, y + 12, "small", money));
    const bar = `x="${num(x(p50))}" y="${num(y - 8)}" width="${num(Math.max(3, x(p99) - x(p50)))}" height="16" rx="3"`;
    lines.push(`<rect class="${level}" ${bar}/>`);
    const words = `${ms(p50)} to ${ms(p99)}`;
    // Beside the bar, where there is room.
    const isFar = x(p99) > RIGHT - ROOM;
    lines.push(isFar ? text(x(p50) - 6, y + 5, "small end", words) : text(x(p99) + 6, y + 5, "small", words));
  }
  return lines;
}

/** As many dots as can be seen. */
function thinned(agesMs: readonly number[]): number[] {
  const every = Math.max(1, agesMs.length / MOST_DOTS);
  return agesMs.toReversed().filter((_, i) => Math.floor(i / every) !== Math.floor((i - 1) / every));
}

/** Where a dot stands above or below its line: the same for the same number. */
function scatter(n: number): number {
  return (((n * 0.618_034) % 1) - 0.5) * 26;
}

function dot(x: number, y: number, level: Level): string {
  return `<circle class="${level}" cx="${num(x)}" cy="${num(y)}" r="2.5"/>`;
}

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${num(x1)}" y1="${num(y1)}" x2="${num(x2)}" y2="${num(y2)}"/>`;
}

function text(x: number, y: number, kind: string, words: string): string {
  return `<text x="${num(x)}" y="${num(y)}"${kind && ` class="${kind}"`}>${escaped(words)}</text>`;
}

function ms(value: number): string {
  if (value >= 1_000) return `${Number((value / 1_000).toFixed(2))} s`;
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ms`;
}

function num(value: number): string {
  return String(Number(value.toFixed(1)));
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
