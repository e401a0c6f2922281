// The watchdog, as far as it is in the main thread: a beat, and what is done on top of code that is stuck.
//
// Rule: a healthy node pays four beats a second and nothing else. The other side (watchdogThread.ts) sees that the beat has stopped
// and asks, through the inspector, for `#asked` to be called: V8 runs that on top of whatever JavaScript is running, with
// its AsyncLocalStorage, so the stuck code itself tells whose it is. Inside SQLite nothing answers; see store/marker.ts.
//
// Code that holds the event loop for longer than `maxSyncMs` is ended in two steps. First it is condemned: whatever it asks of its
// cell throws, which unwinds most loops in the ordinary way. What goes on regardless is ended by force, which no catch
// and no finally sees, where its innermost frame is the app's (frames.ts). An end by force leaves things behind, each
// seen in Node 24 (docs/decisions/0012): Node's stack of async ids, which has to be emptied first or Node ends the process; promises
// that never settle; the rest of the queue of microtasks or of immediates, if it was called from there.
// Rejected: termination asked for by the thread (by the time it arrives other code may run).

import { AsyncLocalStorage, executionAsyncId } from "node:async_hooks";
import { Session, url as debuggerUrl } from "node:inspector";
import { isMainThread, Worker } from "node:worker_threads";
import { FrondError } from "../../errors.ts";
import { SLOW_SYNC_MS } from "../../limits.ts";
import type { Marker } from "../../store/marker.ts";
import { readStack, takeStack } from "./frames.ts";
import type { LogLevel } from "../logLine.ts";
import { type Answer, type Culprit, EVALUATED, type Question, type ThreadSetup } from "./watchdogTalk.ts";

/** How condemned code ended. */
export interface Ended {
  readonly culprit: Culprit | undefined;
  /** What its callers are told. */
  readonly error: FrondError;
  /** No catch and no finally has run. */
  readonly byForce: boolean;
}

/** What the watchdog needs of its node. */
export interface WatchdogHost {
  readonly marker: Marker;
  /** Called on top of the stuck code. Undefined: it is of no cell. */
  describe(): Culprit | undefined;
  /** The runtime is in the middle of something that nothing may break off. */
  critical(): boolean;
  /** Called on top of the stuck code, which goes on: nothing that it does from now on may succeed. */
  condemn(error: FrondError): void;
  /** The first thing that happens after the code has ended. */
  ended(how: Ended): void;
  /** Called soon after an end by force: what waited in the same turn of the event loop may never run. */
  shaken(): void;
}

export interface WatchdogOptions {
  readonly host: WatchdogHost;
  /** Where the suspect is noted before the process is ended. */
  readonly directory: string;
  readonly run: number;
  /** The longest that code may hold the event loop, in ms. */
  readonly maxSyncMs: number;
  /** How the thread writes its lines, to standard output. */
  readonly logFormat: "text" | "json";
  readonly logLevel: LogLevel;
  /** The thread itself failed: nobody watches any more. */
  readonly onFailed: (error: unknown) => void;
}

/** The name under which evaluated code finds the watchdog. */
const HOOK = "frond.watchdog";

/** Watches the main thread of this process. One at a time. */
export class Watchdog {
  readonly #o: WatchdogOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #worker: Worker;
  /** Runs a function as nobody's: what is queued on top of stuck code would be its. */
  readonly #asNobody = AsyncLocalStorage.snapshot();
  #condemned: { culprit: Culprit | undefined; error: FrondError } | undefined;
  #forced: { session: Session; survived: boolean; inImmediates: boolean } | undefined;
  #stopped = false;

  private constructor(options: WatchdogOptions) {
    this.#o = options;
    const { host, directory, run, maxSyncMs, logFormat, logLevel } = options;
    const beatMs = Math.min(250, maxSyncMs / 4);
    const slowMs = Math.min(SLOW_SYNC_MS, maxSyncMs / 2);
    const hook = `globalThis[Symbol.for("${HOOK}")]`;
    const { memory } = host.marker;
    const log = { logFormat, logLevel };
    const setup: ThreadSetup = { memory, directory, run, maxSyncMs, slowMs, pollMs: beatMs, ...log, hook };
    Reflect.set(globalThis, Symbol.for(HOOK), (question: Question, beats: number) => this.#asked(question, beats));
    this.#timer = setInterval(() => host.marker.beat(debuggerUrl() !== undefined), beatMs).unref();
    this.#worker = new Worker(new URL(`./watchdogThread${EXTENSION}`, import.meta.url), {
      workerData: setup,
      name: "frond watchdog",
      // Options of the main thread (--import, --test) are not for it.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.unref();
    this.#worker.on("error", (error) => options.onFailed(error));
    this.#worker.on("exit", (code) => {
      if (!this.#stopped) options.onFailed(new Error(`the watchdog's thread ended with ${code}`));
    });
  }

  /** Begins to watch. Undefined where nothing can be watched: under a debugger, outside of a main thread. */
  static start(options: WatchdogOptions): Watchdog | undefined {
    if (!isMainThread || debuggerUrl() !== undefined) return undefined;
    return new Watchdog(options);
  }

  /** Ends the watch and its thread. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    Reflect.deleteProperty(globalThis, Symbol.for(HOOK));
    await this.#worker.terminate();
  }

  /** Runs on top of the stuck code. `beats`: when the question was asked; an answer that comes late is for other code. */
  #asked(question: Question, beats: number): string {
    const { host } = this.#o;
    if (this.#stopped || host.marker.beats !== beats || debuggerUrl() !== undefined) return told({ is: "over" });
    const place = readStack(takeStack(), EVALUATED);
    const culprit = host.describe();
    const about = { culprit, at: place.at };
    if (question === "look") return told({ is: "seen", ...about });
    if (question === "condemn") {
      // The runtime's own work is nobody's fault, and cannot be taken back.
      if (culprit === undefined && !place.inApp) return told({ is: "again", ...about });
      this.#condemn(culprit, place.at);
      return told({ is: "condemned", ...about });
    }
    if (this.#condemned === undefined) return told({ is: "over" });
    if (place.innermost !== "app" || host.critical()) return told({ is: "again", ...about });
    const reply = told({ is: "ended", ...about });
    const session = this.#prepareForce(place.inImmediates);
    if (session === undefined) return told({ is: "again", ...about });
    // From here, and not from the thread: it takes effect on this very stack. Nothing may be called after it, since an end
    // inside of what the inspector evaluates stops there, and the stuck code would go on.
    session.post("Runtime.terminateExecution", nothing);
    return reply;
  }

  #condemn(culprit: Culprit | undefined, at: string | undefined): void {
    const who = culprit === undefined ? "code outside of cells" : `${culprit.address}.${culprit.verb}`;
    const where = at === undefined ? "" : ` at ${at}`;
    const message = `${who} held the event loop for more than ${this.#o.maxSyncMs} ms${where} and was ended`;
    const error = new FrondError("TERMINATED", message);
    this.#condemned = { culprit, error };
    if (culprit !== undefined) this.#o.host.condemn(error);
    // Before any other event: nobody may meet what it left.
    process.nextTick(() => this.#asNobody(() => this.#afterwards()));
  }

  /** What ends the code below this frame; undefined where that would end the process. */
  #prepareForce(inImmediates: boolean): Session | undefined {
    if (!emptyAsyncStack()) return undefined;
    const forced = { session: new Session(), survived: false, inImmediates };
    this.#forced = forced;
    // Lost with the rest of the queue, if the code was called from there.
    queueMicrotask(() => (forced.survived = true));
    forced.session.connect();
    return forced.session;
  }

  #afterwards(): void {
    const condemned = this.#condemned;
    const forced = this.#forced;
    this.#condemned = undefined;
    this.#forced = undefined;
    if (condemned === undefined) return;
    // Not before: it would call the termination off.
    forced?.session.disconnect();
    this.#o.host.ended({ ...condemned, byForce: forced !== undefined });
    if (forced === undefined) return;
    setImmediate(() => {
      if (!forced.survived || forced.inImmediates) this.#o.host.shaken();
    });
  }
}

/** The workspace runs the sources, a published package what was compiled from them. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/**
 * Empties Node's stack of async ids. Frames that are cut off do not take theirs from it, and Node ends a process whose
 * stack is not what it should be; where it handles an uncaught error it empties the stack by itself, so it is given one.
 */
function emptyAsyncStack(): boolean {
  const handle: unknown = Reflect.get(process, "_fatalException");
  // Somebody else's handler would be told of an error that there is not.
  if (typeof handle !== "function" || process.hasUncaughtExceptionCaptureCallback()) return false;
  process.setUncaughtExceptionCaptureCallback(() => {});
  try {
    Reflect.apply(handle, process, [new Error("an end by force"), false]);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  return executionAsyncId() === 0;
}

function nothing(): void {}

function told(answer: Answer): string {
  return JSON.stringify(answer);
}
