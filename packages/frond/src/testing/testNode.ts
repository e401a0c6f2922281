// `frond/testing`: an app in a test, in a few lines: real cells, a real directory, a real log.
//
// Rule: nothing is imitated but the clock. The node is the one that `frond start` runs, on a directory of its own that is
// removed at the end. A crash leaves what a kill -9 would: the directory as it is at that moment, opened by a new node; the loss of
// the disk leaves the bucket as it is. Stubs and `fetch` outlive all of it: they go to the node that there is.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "../cell/app.ts";
import type { Cell, CellClass } from "../cell/cell.ts";
import type { Get } from "../cell/stub.ts";
import { rootAddress } from "../address.ts";
import { type Clock, FakeClock, systemClock } from "../clock.ts";
import { useLightGlobals } from "../server/door/answer.ts";
import { type HttpFront, listenHttp } from "../server/door/http.ts";
import { createLogger } from "../server/logger.ts";
import type { Node } from "../server/node.ts";
import { openNode } from "../server/openNode.ts";
import { gatedGet, type Gate } from "../server/door/session.ts";
import type { Durability } from "../types.ts";
import { useClock } from "./fakeDate.ts";
import { endKilledRuns } from "./killedRuns.ts";

/** How a test node is made. */
export interface TestOptions {
  /**
   * A clock that stands still until `advance`: alarms, waits, `Date.now()` and `new Date()` of this process follow it. `true`
   * begins at 2026-01-01 UTC, a number at that many ms since 1970. Timers are not changed.
   */
  readonly clock?: boolean | number;
  /** The level of classes that set none. Default: `disk`. */
  readonly durability?: Durability;
  /**
   * The node has a bucket, a folder of its own: for what needs one (`this.files`, the level `bucket`, the past of cells), and for
   * `loseDisk`. Default: none, which starts faster.
   */
  readonly bucket?: boolean;
}

/** One line that the node has written to its log. */
export interface TestLine {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A node that serves an app in this process. */
export class TestNode implements AsyncDisposable {
  /** Addresses a cell. Answers are durable when they come, as for a service of the app. */
  readonly get: Get;
  /** What the node has logged so far. */
  readonly log: TestLine[] = [];
  readonly #app: App;
  readonly #options: TestOptions;
  readonly #clock: Clock;
  readonly #endClock: (() => void) | undefined;
  readonly #directory = newDirectory("disk");
  /** Its URL. */
  readonly #bucket: string | undefined;
  #node!: Node;
  /** Of the node that there is: one that was killed says nothing any more. */
  #life = { killed: false };
  #front: HttpFront | undefined;

  /** Use {@link testNode}. */
  constructor(app: App, options: TestOptions) {
    this.#app = app;
    this.#options = options;
    const { clock = false } = options;
    const fake = clock === false ? undefined : new FakeClock(clock === true ? undefined : clock);
    this.#clock = fake ?? systemClock;
    this.#endClock = fake && useClock(fake);
    this.#bucket = options.bucket === true ? `dir:${newDirectory("bucket")}` : undefined;
    this.get = gatedGet(app, { call: (...call) => this.#node.host.calls.call(...call) }, this.#gate);
  }

  /** For {@link testNode} only. */
  static async open(app: App, options: TestOptions): Promise<TestNode> {
    const test = new TestNode(app, options);
    try {
      await test.#open();
    } catch (error) {
      test.#forget();
      throw error;
    }
    return test;
  }

  /**
   * Asks the `fetch` of the app: a path or a URL, and what the global `fetch` takes beside it. What the front door answers by
   * itself, calls from outside among it, is to be asked of `listen()`.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = input instanceof Request ? input : new Request(new URL(input, "http://test/"), init);
    return this.#node.handle(request, { remoteAddress: "127.0.0.1" });
  }

  /** Answers HTTP and WebSockets on a free port of this machine. Returns its URL, which a crash or a restart ends. */
  async listen(): Promise<string> {
    const node = this.#node;
    this.#front ??= await listenHttp({
      host: "127.0.0.1",
      port: 0,
      handler: (request, info) => node.handle(request, info),
      calls: node.handleCall,
      upgrades: node.upgrades,
      log: createLogger({ level: "fatal", format: "json" }),
      state: () => node.state(),
    });
    return `http://127.0.0.1:${this.#front.address.port}`;
  }

  /** The time of day, in ms since 1970, as the node sees it. */
  now(): number {
    return this.#clock.now();
  }

  /**
   * Lets `ms` pass, for a node with `clock`: each alarm and wait that becomes due meanwhile has its moment, and what it
   * starts has ended before the clock goes on. A run that has not ended after a second of real time may wait for the clock
   * itself, or for ever: the clock goes on without it, which `log` says.
   */
  async advance(ms: number): Promise<void> {
    if (!(this.#clock instanceof FakeClock)) throw new TypeError("advance needs testNode(app, { clock: true })");
    const end = this.#clock.now() + ms;
    const held = new Set<Promise<unknown>>();
    for (;;) {
      await this.#settle(held);
      const due = this.#clock.nextTimer;
      if (due === undefined || due > end) break;
      this.#clock.advance(due - this.#clock.now());
    }
    this.#clock.advance(end - this.#clock.now());
  }

  /** Runs the alarms and scheduled calls that are due now, and waits until they have ended. Count. */
  runAlarms(): Promise<number> {
    return this.#node.alarms.runDue();
  }

  /** Closes an idle cell: the next event finds a new instance. False when it is not open. Waits until it is idle. */
  deactivate<T extends Cell>(type: CellClass<T>, name: string): Promise<boolean> {
    const { kind } = this.#app.kindOf(type as CellClass);
    return this.#node.host.deactivate(rootAddress(kind, name));
  }

  /** Ends the node as `kill -9` does and starts another one on what it left. What was running comes to nothing. */
  async crash(): Promise<void> {
    const left = newDirectory("left");
    try {
      await this.#kill(() => move(this.#directory, left, fs.cpSync));
      empty(this.#directory);
      // In place: a directory that stands elsewhere would be a copy, of which the original may live.
      move(left, this.#directory, fs.renameSync);
    } finally {
      fs.rmSync(left, { recursive: true, force: true });
    }
    await this.#open();
  }

  /**
   * Ends the node as `kill -9` does, and its disk is gone with it: another one starts on an empty disk, with what is in the bucket.
   * Needs `bucket: true`.
   */
  async loseDisk(): Promise<void> {
    const bucket = this.#bucket;
    if (bucket === undefined) throw new TypeError("loseDisk needs testNode(app, { bucket: true })");
    await this.#kill(() => {});
    empty(this.#directory);
    await endKilledRuns(bucket);
    await this.#open();
  }

  /** Stops the node gracefully and starts it again on its directory. */
  async restart(): Promise<void> {
    await this.#front?.stop(GRACE_MS);
    this.#front = undefined;
    await this.#node.stop();
    await this.#open();
  }

  /** Stops the node and removes its directory. */
  async close(): Promise<void> {
    try {
      await this.#end(this.#node);
    } finally {
      this.#forget();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Waits for the alarms that run, not without end; those that it no longer waits for are in `held`. */
  async #settle(held: Set<Promise<unknown>>): Promise<void> {
    const { alarms } = this.#node;
    for (;;) {
      const before = [...alarms.runs];
      const patience = before.every(([, run]) => held.has(run)) ? HELD_MS : PATIENCE_MS;
      const over = new AbortController();
      const passed = sleep(patience, undefined, { signal: over.signal }).catch(() => {});
      await Promise.race([alarms.settled(), passed]);
      over.abort();
      for (const [address, run] of before) {
        if (held.has(run) || alarms.runs.get(address) !== run) continue;
        held.add(run);
        const message = "an alarm has run for a second and may wait for the clock, which goes on without it";
        this.log.push({ level: "warn", message, fields: { address } });
      }
      if ([...alarms.runs.values()].every((run) => held.has(run))) return;
    }
  }

  readonly #gate: Gate = (...waits) => this.#node.host.whenTold(...waits);

  async #open(): Promise<void> {
    useLightGlobals();
    const life = { killed: false };
    this.#life = life;
    const note =
      (level: TestLine["level"]) =>
      (fields: object, message: string): void => {
        if (!life.killed) this.log.push({ level, message, fields: { ...fields } });
      };
    this.#node = await openNode({
      app: this.#app,
      dataDirectory: this.#directory,
      durability: this.#options.durability ?? "disk",
      ...(this.#bucket !== undefined && { bucket: { url: this.#bucket } }),
      log: { info: note("info"), warn: note("warn"), error: note("error") },
      clock: this.#clock,
      dev: true,
      maxSyncMs: 0,
      logFileBytes: LOG_FILE_BYTES,
      onFatal: (error) => {
        throw error;
      },
    });
    await this.#node.startServices();
  }

  async #end(node: Node): Promise<void> {
    const front = this.#front;
    this.#front = undefined;
    await front?.stop(0);
    await node.stop(0);
  }

  /** What the node does from here on reaches neither its bucket nor what `keep` has taken of its disk. */
  async #kill(keep: () => void): Promise<void> {
    const killed = this.#node;
    await killed.keeper?.stop();
    keep();
    this.#life.killed = true;
    await this.#end(killed);
  }

  #forget(): void {
    this.#endClock?.();
    for (const folder of [this.#directory, this.#bucket?.slice("dir:".length)]) {
      if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** How long the clock waits for an alarm that runs, in ms of real time, and for one for which it has waited so long before. */
const PATIENCE_MS = 1_000;
const HELD_MS = 200;
/** A test writes little. */
const LOG_FILE_BYTES = 1024 * 1024;
const GRACE_MS = 1_000;

/**
 * Serves an app in this process, on a directory of its own that `close` (or `await using`) removes.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Cell, frond } from "frond";
 * import { testNode } from "frond/testing";
 *
 * class Counter extends Cell {
 *   static override migrations = ["CREATE TABLE c (n INTEGER NOT NULL) STRICT; INSERT INTO c VALUES (0)"];
 *   add() {
 *     return this.sql.one<{ n: number }>`UPDATE c SET n = n + 1 RETURNING n`.n;
 *   }
 * }
 * await using node = await testNode(frond({ cells: { counter: Counter } }));
 * assert.equal(await node.get(Counter, "a").add(), 1);
 * await node.crash();
 * assert.equal(await node.get(Counter, "a").add(), 2);
 * ```
 */
export function testNode(app: App, options: TestOptions = {}): Promise<TestNode> {
  return TestNode.open(app, options);
}

function newDirectory(what: string): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), `frond-test-${what}-`));
}

/** Brings everything from one directory into another; but the lock, which belongs to the process that holds it. */
function move(from: string, to: string, how: (from: string, to: string, options: { recursive: true }) => void): void {
  for (const name of fs.readdirSync(from)) {
    if (!name.startsWith("lock.")) how(path.join(from, name), path.join(to, name), { recursive: true });
  }
}

function empty(directory: string): void {
  for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name), { recursive: true, force: true });
}
