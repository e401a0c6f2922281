// What the two sides of the watchdog say to each other.
//
// Rule: the thread asks by an expression that V8 evaluates on top of whatever the main thread is doing, and is answered with
// a text, so neither side holds anything of the other.

import type { LogLevel } from "../logLine.ts";

/** What the thread is started with. */
export interface ThreadSetup {
  readonly memory: SharedArrayBuffer;
  readonly directory: string;
  readonly run: number;
  readonly maxSyncMs: number;
  /** The event loop is held up when it does not come by for so long, in ms. */
  readonly slowMs: number;
  readonly pollMs: number;
  readonly logFormat: "text" | "json";
  readonly logLevel: LogLevel;
  /** JavaScript for the function of the main thread that is asked. */
  readonly hook: string;
}

/** `look`: who is it? `condemn`: nothing that it does may succeed. `end`: end it by force. */
export type Question = "look" | "condemn" | "end";

/** Whose code it is. */
export interface Culprit {
  readonly address: string;
  readonly verb: string;
}

/** `over`: the event loop came by meanwhile. `again`: this cannot be done where the code is now. */
export interface Answer {
  readonly is: "over" | "seen" | "condemned" | "again" | "ended";
  /** Absent: it is of no cell. */
  readonly culprit?: Culprit | undefined;
  /** Where the app's code is, `file:line:column`. */
  readonly at?: string | undefined;
}

/** What a stack calls the evaluated expression: frames before it are of the watchdog. */
export const EVALUATED = "frond-watchdog-asks";

/** The expression that asks. `beats`: an answer counts only while the event loop has come by as often as that. */
export function questionFor(hook: string, question: Question, beats: number): string {
  return `${hook}?.("${question}", ${beats})\n//# sourceURL=${EVALUATED}`;
}
