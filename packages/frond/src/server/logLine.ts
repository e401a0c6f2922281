// How the log is chosen and how a line of it looks to a person.
//
// Rule: control characters are shown as escapes: what stands in a log comes from outside, and must not be able to drive
// the terminal of whoever reads it. Apart from logger.ts, so that a command that logs nothing does not load a logger.

/** From silent to everything. */
export const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto` is text on a terminal and JSON elsewhere. */
export const LOG_FORMATS = ["auto", "text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const LEVEL_NAMES: Readonly<Record<number, readonly [string, number]>> = {
  10: ["trace", 90],
  20: ["debug", 90],
  30: ["info ", 36],
  40: ["warn ", 33],
  50: ["error", 31],
  60: ["fatal", 35],
};
const HIDDEN = new Set(["level", "time", "pid", "hostname", "msg", "err"]);

/** One line of JSON, as pino writes it, for a person: time, level, sentence, fields; the stack of an error below. */
export function readableLine(line: string, colour: boolean): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  const [name, code] = LEVEL_NAMES[record["level"] as number] ?? ["?    ", 0];
  const time = new Date(record["time"] as number).toTimeString().slice(0, 8);
  const fields = Object.entries(record)
    .filter(([key]) => !HIDDEN.has(key))
    .map(
      ([key, value]) =>
        ` ${key}=${typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join("");
  const dim = (text: string): string => (colour && text !== "" ? `\u001b[2m${text}\u001b[0m` : text);
  const level = colour ? `\u001b[${code}m${name}\u001b[0m` : name;
  const error = record["err"] as LoggedError | undefined;
  const stack = error === undefined ? "" : stackOf(error);
  const trace =
    error === undefined
      ? []
      : String(stack)
          .split("\n")
          .map((text) => dim(`    ${escapeControls(text)}`));
  const sentence = escapeControls(String(record["msg"] ?? ""));
  return `${[`${dim(time)} ${level} ${sentence}${dim(escapeControls(fields))}`, ...trace].join("\n")}\n`;
}

interface LoggedError {
  readonly type?: string;
  readonly code?: string;
  readonly stack?: string;
  readonly message?: string;
}

/** A stack begins with the class of the error at best; what an operator looks up is the code. */
function stackOf(error: LoggedError): string {
  const stack = error.stack ?? error.message ?? JSON.stringify(error);
  return error.type === "FrondError" ? String(stack).replace(/^\w*Error(?=:)/, `FrondError [${error.code}]`) : stack;
}

/** Text from outside could move the cursor or hide lines of a terminal: control characters are shown as escapes. */
export function escapeControls(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
