// The log of the process: what an operator reads, one line per event.
//
// Rule: an event is a short sentence and named fields, never a value pasted into a sentence, and no field holds a
// secret. Lines are JSON where a program reads them and readable text where a person does. Written in the process and
// synchronously: the last line before a crash is the one that matters.
// Rejected: a transport in a worker thread (loses that last line), pino-pretty (a dependency for thirty lines).

import { pino, stdSerializers } from "pino";
import type { Logger as PinoLogger } from "pino";
import { readableLine } from "./logLine.ts";
import type { LogFormat, LogLevel } from "./logLine.ts";

/** A structured log. `log.warn({ cell }, "sentence")`; an error goes into the field `err`. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly level?: LogLevel;
  readonly format?: LogFormat;
  /** Where lines go; standard output unless given. */
  readonly write?: (line: string) => void;
}

const SECRET_FIELDS = [
  "authorization",
  "cookie",
  '["set-cookie"]',
  '["proxy-authorization"]',
  '["x-api-key"]',
  "password",
  "secret",
  "token",
];
const REDACTED = SECRET_FIELDS.flatMap((field) => [field, field.startsWith("[") ? `*${field}` : `*.${field}`]);

/** A log at `level` (default info). Fields named like secrets are written as `[redacted]`, also one object deep. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const settings = {
    level: options.level ?? "info",
    redact: { paths: REDACTED, censor: "[redacted]" },
    serializers: { err: stdSerializers.err },
  };
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  const format = options.format ?? "auto";
  const colour = options.write === undefined && process.stdout.isTTY === true && !process.env["NO_COLOR"];
  if (format === "text" || (format === "auto" && process.stdout.isTTY === true)) {
    return pino(settings, { write: (line: string) => write(readableLine(line, colour)) });
  }
  if (options.write) return pino({ ...settings, base: { pid: process.pid } }, { write });
  return pino({ ...settings, base: { pid: process.pid } }, pino.destination({ dest: 1, sync: true }));
}
