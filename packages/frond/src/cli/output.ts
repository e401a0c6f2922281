// What commands print: tables for people, JSON for programs, errors for both.
//
// Rule: results go to standard output and nothing else does; an error is one line `error CODE: message` on standard
// error, or {"error": {...}} with --json. What comes from cells can hold anything, so control characters are shown as
// escapes: a message in a mailbox must not be able to drive the operator's terminal.

import { errorToWire } from "../server/operator/wire.ts";
import { escapeControls } from "../server/logLine.ts";

/** Writes to standard output, waiting while its reader is slower. */
export async function print(text: string): Promise<void> {
  if (process.stdout.write(text)) return;
  await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
}

export function printJson(value: unknown): Promise<void> {
  return print(`${JSON.stringify(value)}\n`);
}

/** One line per failure; with `json`, an object. */
export function printError(error: unknown, json: boolean): void {
  const wire = errorToWire(error);
  if (json) process.stderr.write(`${JSON.stringify({ error: wire })}\n`);
  else process.stderr.write(`error ${wire.code}: ${wire.message}\n`);
}

/** How a value of SQL is shown in a table: NULL, x'..' for bytes, text as it is. */
export function showValue(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "string") return escapeControls(value);
  if (typeof value !== "object") return String(value);
  const { $blob, $real } = value as { $blob?: unknown; $real?: unknown };
  if (typeof $blob === "string") return `x'${Buffer.from($blob, "base64").toString("hex")}'`;
  return typeof $real === "string" ? $real : escapeControls(JSON.stringify(value));
}

/** Column widths that fit `rows`, with the heads. */
export function widthsOf(heads: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return heads.map((head, i) => rows.reduce((width, row) => Math.max(width, (row[i] ?? "").length), head.length));
}

/** Lines of a table. Columns of `right` are aligned to the right; the last one is not padded. */
export function tableLines(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  right: ReadonlySet<number> = new Set(),
): string {
  return rows
    .map((row) => {
      const fields = row.map((field, i) => {
        const width = widths[i] ?? 0;
        if (right.has(i)) return field.padStart(width);
        return i === row.length - 1 ? field : field.padEnd(width);
      });
      return `${fields.join("  ").trimEnd()}\n`;
    })
    .join("");
}

/** `12.0 KiB`. */
export function showBytes(bytes: number): string {
  let unit = 0;
  let amount = bytes;
  while (amount >= 1024 && unit < 4) {
    amount /= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${amount.toFixed(1)} ${"KMGT"[unit - 1]}iB`;
}

/** `2026-11-23 06:15:55Z`, or `-` for an unknown time. */
export function showTime(ms: number): string {
  return ms === 0 ? "-" : new Date(ms).toISOString().replace("T", " ").replace(/\.\d+/, "");
}
