// Moments in the history of cells, as people type them.
//
// Rule: a text means one moment or is refused; a time of day without a zone could be meant in two ways.

import { FrondError } from "../errors.ts";
import type { Moment } from "../server/operator/nodeControl.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** A time in ms since 1970: ISO 8601 with a zone, a date (its beginning, UTC), or how long ago, as `-2h`. Throws BAD_OPTION. */
export function parseTime(text: string, now: number = Date.now()): number {
  const [, count, unit = ""] = /^-(\d{1,9})(s|min|h|d)$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * (UNITS[unit] as number);
  const time = DATE.test(text) || TIME.test(text) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  // JavaScript takes the 30th of February for the 2nd of March.
  if (!Number.isNaN(time) && new Date(text.slice(0, 10)).toISOString().startsWith(text.slice(0, 10))) return time;
  const forms = "2026-11-23T06:15:00Z (or +01:00), 2026-11-23, or how long ago: -90s, -30min, -2h, -7d";
  throw new FrondError("BAD_OPTION", `${JSON.stringify(text)} is no time; times are ${forms}`);
}

/** A time as parseTime takes it, or a position as `frond history` shows it. Throws BAD_OPTION. */
export function parseMoment(text: string, now?: number): Moment {
  const [, epoch, txid] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? [];
  if (epoch !== undefined) return { epoch: Number(epoch), txid: Number(txid) };
  try {
    return { atMs: parseTime(text, now) };
  } catch (error) {
    throw new FrondError("BAD_OPTION", `${(error as Error).message}; a position is like 12-3456`);
  }
}

/** `2026-11-23 06:15:55.123Z`: exact, for it may be typed in again. */
export function showExactTime(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ");
}
