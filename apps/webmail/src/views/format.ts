// Numbers, times and names as people read them.
//
// Rule: the server writes times in UTC and says so; the page's script rewrites them in the reader's own zone.

import { escapeText, Html, markup } from "../markup.ts";

const NUMBER = new Intl.NumberFormat("en-GB");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const EXACT = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZone: "UTC",
});
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short", timeZone: "UTC" });

/** A whole number. */
export function count(n: number): string {
  return NUMBER.format(n);
}

/** A number of things. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A size in bytes. */
export function bytes(n: number): string {
  if (n === 0) return "empty";
  if (n < 1000) return plural(n, "byte");
  return n < 1_000_000 ? `${count(Math.round(n / 100) / 10)} kB` : `${count(Math.round(n / 100_000) / 10)} MB`;
}

/** A time in a list: the hour of today, else the day. */
export function shortTime(time: number): Html {
  return timeElement(time, shortDate(time), "short");
}

/** A time with everything. */
export function fullTime(time: number): Html {
  return timeElement(time, fullDate(time), "full");
}

/** A time within the last weeks, to the second. */
export function exactTime(time: number): Html {
  return timeElement(time, `${EXACT.format(time)} UTC`, "exact");
}

function timeElement(time: number, text: string, form: string): Html {
  return markup`<time datetime="${new Date(time).toISOString()}" data-form="${form}" title="${fullDate(time)}">${text}</time>`;
}

function shortDate(time: number): string {
  const [today, day] = [new Date().toISOString(), new Date(time).toISOString()];
  if (today.slice(0, 10) === day.slice(0, 10)) return CLOCK.format(time);
  return today.slice(0, 4) === day.slice(0, 4) ? DAY.format(time) : YEAR.format(time);
}

function fullDate(time: number): string {
  return `${FULL.format(time)} UTC`;
}

/** The name in `Name <address>`, or all of it. */
export function nameOf(sender: string): string {
  const name = sender.replace(/\s*<[^<>]*>$/, "");
  return /^".*"$/.test(name) ? name.slice(1, -1).replace(/\\(.)/g, "$1") : name;
}

/** A name of a file, its middle left out if it is long: the end says what kind of file it is. */
export function shortName(name: string): string {
  return name.length <= 80 ? name : `${name.slice(0, 50)} \u2026 ${name.slice(-24)}`.toWellFormed();
}

/** An address that a narrow page breaks after its signs, not in the middle of a word. */
export function breakable(address: string): Html {
  return new Html(escapeText(address).replace(/[@.]/g, "$&<wbr>"));
}

/** What stands where a message states nothing. */
export function none(text: string): Html {
  return markup`<span class="none">${text}</span>`;
}

const HUES = 8;

/** A round sign with the first letter of a name, in one of a few colours that is always the same for this name. */
export function avatar(name: string): Html {
  const letter = /[\p{L}\p{N}]/u.exec(name)?.[0] ?? "?";
  let sum = 0;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return markup`<span class="avatar hue-${sum % HUES}" aria-hidden="true">${letter.toUpperCase()}</span>`;
}
