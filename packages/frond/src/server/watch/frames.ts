// Where stuck code is, read from a stack trace taken on top of it.
//
// Rule: code is ended by force only where the innermost frame is the app's own. Whatever the runtime, Node or a library of
// the runtime is in the middle of (a line of the log, a list of timers, a commit) is then complete, except for what the
// app was called from.

/** What a stack says. */
export interface Place {
  /** Whose the innermost frame is; `none`: no frame has a place. */
  readonly innermost: "app" | "node" | "runtime" | "none";
  /** Some frame is the app's. */
  readonly inApp: boolean;
  /** It was called by the queue of setImmediate, whose rest is lost with it. */
  readonly inImmediates: boolean;
  /** The innermost frame of the app, `file:line:column`. */
  readonly at?: string;
}

/** Where this program itself lies: the folder of the sources, or of what was compiled from them. */
const OWN = new URL("../..", import.meta.url).href;
/** Libraries that work for the whole process: an end in their middle would stay. */
const SHARED = /\/node_modules\/(?:pino|sonic-boom|thread-stream|ws|croner|hono|@hono)\//;
const IMMEDIATES = "processImmediate (node:internal/timers";

/** Reads a stack trace, the innermost frame first. `top` marks the last line that is not of the stuck code. */
export function readStack(stack: string, top: string): Place {
  const lines = stack.split("\n").map((line) => line.trim());
  const begin = lines.findIndex((line) => line.includes(top));
  let innermost: Place["innermost"] = "none";
  let at: string | undefined;
  for (const line of lines.slice(begin + 1)) {
    // What follows is who waits, not who runs.
    if (line.startsWith("at async ")) break;
    const place = placeOf(line);
    if (place === undefined) continue;
    const whose = ownerOf(place);
    if (innermost === "none") innermost = whose;
    if (whose !== "app") continue;
    at = place.replace(/^file:\/\//, "");
    break;
  }
  const inImmediates = stack.includes(IMMEDIATES);
  return { innermost, inApp: at !== undefined, inImmediates, ...(at !== undefined && { at }) };
}

/** Takes the trace of the code that runs, deep enough to see where it was called from. */
export function takeStack(): string {
  const { stackTraceLimit, prepareStackTrace } = Error;
  // Nobody else's idea of a stack is asked for: it would be code of the app.
  Reflect.set(Error, "prepareStackTrace", undefined);
  Error.stackTraceLimit = MOST_FRAMES;
  try {
    return String(new Error("here").stack);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Reflect.set(Error, "prepareStackTrace", prepareStackTrace);
  }
}

const MOST_FRAMES = 1_000;

function placeOf(line: string): string | undefined {
  if (!line.startsWith("at ") || !/:\d+:\d+\)?$/.test(line)) return undefined;
  return line.endsWith(")") ? line.slice(line.lastIndexOf("(") + 1, -1) : line.slice("at ".length);
}

function ownerOf(place: string): "app" | "node" | "runtime" {
  if (place.startsWith("node:")) return "node";
  return place.startsWith(OWN) || SHARED.test(place) ? "runtime" : "app";
}
