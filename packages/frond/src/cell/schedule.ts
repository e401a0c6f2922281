// When a scheduled call is due: a time, a time from now, or a cron expression in a time zone.
//
// Rule: what cannot come true is an error when it is said (BAD_OPTION): a bad expression, an unknown zone, a date that does
// not exist. A time of day that the change to summer time skips is the moment of the change; one that comes twice is its
// first. The zone is UTC unless one is named: a server's own zone is an accident.
// Rejected: texts of dates ("2026-05-01T09:00"), whose zone would have to be guessed; a Date says which moment it is.

import { Cron } from "croner";
import { FrondError } from "../errors.ts";

/**
 * When: a Date or a number (ms since 1970; what is past is due at once), a cron expression (of five fields, or of six with
 * seconds; in UTC, or in `zone`, as `Europe/Berlin`), or a time from now in ms.
 */
export type When =
  | Date
  | number
  | string
  | { readonly cron: string; readonly zone?: string }
  | { readonly afterMs: number };

/** What is kept of it. */
export interface Timing {
  /** The next time, in ms since 1970. */
  readonly due: number;
  readonly cron: string | undefined;
  readonly zone: string | undefined;
}

/** The last moment that a Date can hold, in ms since 1970. */
const LAST_MS = 8.64e15;
/** Longest cron expression, in characters: each minute of an hour listed takes less. */
const MAX_CRON_LENGTH = 256;

/** Reads what `schedule` was given, at `now`. Throws BAD_OPTION. */
export function timingOf(when: When, now: number): Timing {
  if (typeof when === "string") return cronTiming(when, undefined, now);
  if (typeof when === "number" || when instanceof Date) return at(timeOf(when, "schedule"));
  const options: { cron?: unknown; zone?: unknown; afterMs?: unknown } = when ?? {};
  const keys = typeof options === "object" ? Object.keys(options) : [];
  if (keys.length === 1 && typeof options.afterMs === "number" && options.afterMs >= 0) {
    return at(timeOf(now + options.afterMs, "schedule"));
  }
  const { cron, zone } = options;
  if (typeof cron === "string" && keys.every((key) => key === "cron" || key === "zone")) {
    if (zone === undefined || typeof zone === "string") return cronTiming(cron, zone, now);
  }
  const forms = "a Date, a number (ms since 1970), a cron expression, { cron, zone } or { afterMs }";
  throw new FrondError("BAD_OPTION", `schedule takes ${forms}, not ${shown(when)}`);
}

/** A moment in ms since 1970. `what` is who asks. Throws BAD_OPTION. */
export function timeOf(time: Date | number, what: string): number {
  const ms = typeof time === "number" ? time : time instanceof Date ? time.getTime() : Number.NaN;
  // Zero is what somebody gets who forgot to set something.
  if (ms > 0 && ms <= LAST_MS) return Math.ceil(ms);
  throw new FrondError("BAD_OPTION", `${what} takes a Date or a number of ms since 1970, not ${shown(time)}`);
}

/** The next time of a cron expression behind `now`; undefined: there is none. Throws BAD_OPTION. */
export function nextTime(cron: string, zone: string | undefined, now: number): number | undefined {
  try {
    return new Cron(cron, { paused: true, timezone: zone ?? "UTC" }).nextRun(new Date(now))?.getTime();
  } catch (error) {
    const message =
      zone !== undefined && !isZone(zone)
        ? `there is no time zone ${JSON.stringify(zone)}; zones have names such as "Europe/Zurich"`
        : `the cron expression ${JSON.stringify(cron)} cannot be read: ${(error as Error).message}`;
    throw new FrondError("BAD_OPTION", message, { cause: error });
  }
}

function isZone(name: string): boolean {
  try {
    new Date().toLocaleString("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function at(due: number): Timing {
  return { due, cron: undefined, zone: undefined };
}

function cronTiming(cron: string, zone: string | undefined, now: number): Timing {
  if (cron.length > MAX_CRON_LENGTH) {
    throw new FrondError("BAD_OPTION", `a cron expression has at most ${MAX_CRON_LENGTH} characters`);
  }
  // The library takes dates too.
  if (/\dT\d/.test(cron)) {
    throw new FrondError("BAD_OPTION", `${JSON.stringify(cron)} is no cron expression; a moment is given as a Date`);
  }
  const due = nextTime(cron, zone, now);
  if (due === undefined) throw new FrondError("BAD_OPTION", `the time of ${JSON.stringify(cron)} never comes`);
  return { due, cron, zone };
}

function shown(value: unknown): string {
  if (value instanceof Date) return `a Date of ${String(value.getTime())}`;
  try {
    return typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  } catch {
    return typeof value;
  }
}
