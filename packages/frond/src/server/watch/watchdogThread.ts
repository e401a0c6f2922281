// The watchdog's own thread: sees that the main thread does not come by, finds out why, and ends what does not end.
//
// Rule: time is counted in its own polls, each for at most twice its length, so a process that was stopped, or a machine
// that slept, is not taken for one that is stuck. It asks the main thread only when the beat has stopped (watchdog.ts);
// an answer means that JavaScript runs and can be ended there. No answer means that it is inside native code: most
// likely SQLite, for which the marks say whose statement it is. Nothing ends that but the end of the process: the suspect is noted
// durably first, so that the next start knows it.

import fs from "node:fs";
import { Session } from "node:inspector";
import path from "node:path";
import { workerData } from "node:worker_threads";
import { MarkReader } from "../../store/marker.ts";
import { writeDurably } from "../durably.ts";
import { endProcess, EXIT_STUCK } from "./endProcess.ts";
import { LOG_LEVELS, readableLine } from "../logLine.ts";
import { SUSPECT_NAME, type Suspect } from "../cells/strikes.ts";
import { type Answer, type Question, questionFor, type ThreadSetup } from "./watchdogTalk.ts";

/** How long condemned code may take to end by itself, in ms, and how often and how long it is tried to end it by force. */
const UNWIND_MS = 200;
const RETRY_MS = 5;
const FORCE_MS = 3_000;
const MOST_FORCED = 3;
/** Polls without an answer after which the main thread is known to be in native code. Count. */
const UNANSWERED_POLLS = 2;

const setup = workerData as ThreadSetup;
const marks = new MarkReader(setup.memory);

let beats = marks.beats;
let polled = performance.now();
/** How long the main thread has not come by, in ms. */
let held = 0;
let stage: "quiet" | "looking" | "seen" | "condemning" | "ending" = "quiet";
let session: Session | undefined;
let asked: { question: Question; polls: number } | undefined;
let known: Answer | undefined;
/** Ends by force since the main thread last came by. Count. */
let forced = 0;

setInterval(poll, setup.pollMs);

function poll(): void {
  const now = performance.now();
  const passed = Math.min(now - polled, 2 * setup.pollMs);
  polled = now;
  if (marks.beats !== beats || marks.paused) return reset();
  held += passed;
  if (asked !== undefined) asked.polls += 1;
  const native = asked !== undefined && asked.polls >= UNANSWERED_POLLS;
  if (stage === "quiet" && held >= setup.slowMs) {
    stage = "looking";
    ask("look");
  } else if (stage === "looking" && native) slow();
  else if (held < setup.maxSyncMs) return;
  else if (native) end("it is inside native code, which nothing can end");
  else if (stage === "seen" && asked === undefined) {
    stage = "condemning";
    ask("condemn");
  }
}

function reset(): void {
  beats = marks.beats;
  held = 0;
  forced = 0;
  stage = "quiet";
  asked = undefined;
  known = undefined;
  session?.disconnect();
  session = undefined;
}

/** Has `question` answered on top of what the main thread is doing; in its own time, if that is no JavaScript. */
function ask(question: Question): void {
  if (session === undefined) {
    session = new Session();
    session.connectToMainThread();
  }
  const mine = { question, polls: 0 };
  asked = mine;
  const expression = questionFor(setup.hook, question, beats);
  session.post("Runtime.evaluate", { expression, returnByValue: true }, (_error, reply) => {
    if (asked !== mine) return;
    asked = undefined;
    const value: unknown = reply?.result.value;
    // What ends the code below it may end the evaluation too.
    if (typeof value !== "string") answered(question, { is: question === "end" ? "ended" : "over" });
    else answered(question, JSON.parse(value) as Answer);
  });
}

function answered(question: Question, answer: Answer): void {
  // The main thread came by: the next poll sees it.
  if (answer.is === "over") return;
  if (answer.culprit !== undefined || answer.at !== undefined) known = answer;
  if (question === "look") {
    if (stage === "looking") slow(answer);
  } else if (question === "condemn") {
    if (answer.is !== "condemned") return end("it is the runtime's own code");
    stage = "ending";
    setTimeout(tryToEnd, UNWIND_MS, beats, performance.now() + FORCE_MS);
  } else if (answer.is === "ended") {
    write("warn", { ...about(), ms: Math.round(held) }, "code that held the event loop was ended by force");
    if (++forced >= MOST_FORCED) return end("it goes on though it was ended");
    // What comes next is another story, though the loop has not come by yet.
    held = 0;
    stage = "quiet";
  }
}

function tryToEnd(since: number, until: number): void {
  if (stage !== "ending" || marks.beats !== since) return;
  if (performance.now() > until) return end("it was never where it can be ended");
  if (asked === undefined) ask("end");
  setTimeout(tryToEnd, RETRY_MS, since, until);
}

/** Without an answer it is no JavaScript that runs. */
function slow(answer?: Answer): void {
  stage = "seen";
  const native = marks.read().inSqlite ? ", inside SQLite" : ", in native code";
  write("warn", { ...about(), ms: Math.round(held) }, `the event loop is held up${answer === undefined ? native : ""}`);
}

/** What is known of the stuck code. What it told itself is better than the marks, unless they say that SQLite was entered. */
function about(): { address?: string; verb?: string; sql?: string; at?: string } {
  const { inSqlite, address, sql } = marks.read();
  const own = known?.culprit;
  const whose = inSqlite || own === undefined ? address : own.address;
  return {
    ...(whose !== undefined && { address: whose }),
    ...(own !== undefined && own.address === whose && { verb: own.verb }),
    ...(inSqlite && sql !== undefined && { sql }),
    ...(known?.at !== undefined && { at: known.at }),
  };
}

function end(why: string): void {
  const ms = Math.round(held);
  const { address, verb, sql, at } = about();
  const suspect: Suspect = { address, verb, sql, ms, atMs: Date.now(), run: setup.run };
  const file = path.join(setup.directory, SUSPECT_NAME);
  const fields = { ...(address !== undefined && { address }), verb, sql, at, ms, code: EXIT_STUCK };
  try {
    writeDurably(file, Buffer.from(`${JSON.stringify(suspect)}\n`));
  } catch (error) {
    write("error", { file, err: { message: String(error) } }, "the suspect could not be noted: it gets no strike");
  }
  const therefore = "the process ends, its next start recovers";
  write("fatal", fields, `the event loop was held for too long, and ${why}: ${therefore}`);
  void endProcess(EXIT_STUCK);
}

const NUMBERS = { warn: 40, error: 50, fatal: 60 } as const;

/** A line of the log. The logger is the main thread's, which does not answer. */
function write(level: keyof typeof NUMBERS, fields: object, msg: string): void {
  if (LOG_LEVELS.indexOf(level) > LOG_LEVELS.indexOf(setup.logLevel)) return;
  const json = JSON.stringify({ level: NUMBERS[level], time: Date.now(), pid: process.pid, ...fields, msg });
  try {
    fs.writeSync(1, setup.logFormat === "text" ? readableLine(json, false) : `${json}\n`);
  } catch {
    // A reader that is full or gone: what is to be done here does not wait for it.
  }
}
