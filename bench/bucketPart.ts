// What the benches of the bucket have in common: what each is told, and what it tells.
//
// Rule: a line that has a goal says whether it was met, and a shortfall is written as one.

import type { Conditions } from "./machine.ts";
import type { Spread } from "./method.ts";
import { table } from "./report.ts";

/** What a part is run with. */
export interface PartOptions {
  /** Short, to see that it works. */
  readonly quick: boolean;
  /** Also against a real S3 server, Ceph's. */
  readonly s3: boolean;
  /** Where data lies; removed by the caller. */
  readonly directory: string;
  readonly progress: (line: string) => void;
}

/** One line of a report. */
export interface Line {
  readonly what: string;
  readonly measured: string;
  readonly goal?: string;
  readonly met?: boolean;
}

/** What a part found. */
export interface Found {
  /** How it was measured, in words. */
  readonly how: string;
  readonly lines: readonly Line[];
  /** All that it measured, for who wants to look again. */
  readonly raw: unknown;
}

/** The report of a part in Markdown. */
export function partReport(name: string, c: Conditions, { how, lines }: Found): string {
  const head = [
    `Run \`${name}\`, ${c.date}, commit ${c.commit}. ${c.processor}, ${c.cores} cores, Linux ${c.kernel}, ${c.fileSystem},`,
    `fdatasync p50 ${c.syncMs.toFixed(2)} ms, load average ${c.loadBefore.toFixed(2)} before the run, node ${c.versions["node"]}.`,
    how,
  ].join("\n");
  const rows = lines.map(({ what, measured, goal = "", met }) => {
    const verdict = met === undefined ? "" : met ? "met" : "**missed**";
    return [what, measured, goal, verdict];
  });
  return `${head}\n\n${table(["", "measured", "goal", ""], rows)}`;
}

/** A value and how far it went. */
export function shown({ median, min, max }: Spread, digits: number, unit = ""): string {
  const text = (n: number): string => n.toFixed(digits);
  return `${text(median)}${unit} (${text(min)} to ${text(max)})`;
}
