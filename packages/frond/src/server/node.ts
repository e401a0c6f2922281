// A node: one process that serves the cells of an app from a data directory.
//
// Rule: it opens in the order lock, recovery, log, cells, services, and closes in the reverse one; only a close that saw
// everything flushed marks the run clean. A failure that leaves the log in doubt ends the process: the next start knows
// what is on disk, this one does not.

import { execFile } from "node:child_process";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { FetchContext, StopService } from "../cell/app.ts";
import { Committer } from "../cell/commit.ts";
import type { SocketGate } from "../cell/socketEnd.ts";
import { SocketRegistry } from "../cell/sockets.ts";
import type { CellTools } from "../cell/past.ts";
import type { Get } from "../cell/stub.ts";
import { type Clock, systemClock } from "../clock.ts";
import { FrondError } from "../errors.ts";
import { STOP_GRACE_MS } from "../limits.ts";
import { CommitLog } from "../log/log.ts";
import type { SlotTable } from "../core/slots.ts";
import type { Catalog } from "../store/catalog.ts";
import type { DirectoryLock } from "../store/lock.ts";
import { Marker } from "../store/marker.ts";
import type { Seq } from "../types.ts";
import { Alarms, type AlarmsNode } from "./cells/alarms.ts";
import { shareDescriptors } from "./descriptors.ts";
import { type CallTarget, ExposedCalls } from "./door/expose.ts";
import { httpCalls, isSocketTarget } from "./door/exposeHttp.ts";
import { socketCalls } from "./door/exposeSocket.ts";
import { Erasures } from "./contents/erasures.ts";
import { Files } from "./files/files.ts";
import { FileSweeps } from "./files/fileSweeps.ts";
import { steadyLog, type Told } from "./door/floods.ts";
import { type CellEvents, Gateway } from "./door/gateway.ts";
import { Guard, type GuardOptions } from "./watch/guard.ts";
import { Host } from "./cells/host.ts";
import type { HttpHandler } from "./door/http.ts";
import { Ledger } from "./cells/ledger.ts";
import { LogIndex } from "./persist/logIndex.ts";
import type { Keeper } from "./persist/keeper.ts";
import { controlOf } from "./operator/nodeTools.ts";
import { nextRun } from "./runs/nextRun.ts";
import type { NodeControl } from "./operator/nodeControl.ts";
import type { HandleInfo, NodeLog, NodeOptions, NodeState } from "./nodeOptions.ts";
import { urlInside } from "./runs/openKeeper.ts";
import type { Recovered } from "./cells/recover.ts";
import { cellToolsOf } from "./contents/past.ts";
import { PastDoor } from "./persist/pastDoor.ts";
import { gatedGet, type Gate, Session } from "./door/session.ts";
import { Strikes } from "./cells/strikes.ts";
import { LogTrimmer } from "./persist/trim.ts";
import { Upgrades } from "./door/upgrade.ts";

/** What `fetch` gets beside the request; what few ask for is found when it is asked for. */
class RequestContext implements FetchContext {
  readonly get: Get;
  readonly #tools: CellTools;
  readonly #info: { readonly remoteAddress: string };

  constructor(get: Get, tools: CellTools, info: { readonly remoteAddress: string }) {
    this.get = get;
    this.#tools = tools;
    this.#info = info;
  }

  get history(): CellTools["history"] {
    return this.#tools.history;
  }

  get past(): CellTools["past"] {
    return this.#tools.past;
  }

  get restore(): CellTools["restore"] {
    return this.#tools.restore;
  }

  get export(): CellTools["export"] {
    return this.#tools.export;
  }

  get remoteAddress(): string {
    return this.#info.remoteAddress;
  }
}

const EXIT_FATAL = 70;

/** An open node. */
export class Node {
  readonly control: NodeControl;
  readonly recovered: Recovered;
  readonly host: Host;
  readonly commitLog: CommitLog;
  readonly catalog: Catalog;
  readonly options: NodeOptions;
  readonly startedMs = Date.now();
  readonly logIndex: LogIndex;
  readonly clock: Clock;
  /** What programs outside may call; undefined: nothing. */
  readonly #exposed: ExposedCalls | undefined;
  /** Takes requests for WebSockets; handed to the front door. */
  readonly upgrades: Upgrades;
  /** Where HTTP is answered, `HOST:PORT`; set by whoever listens. */
  listen: string | undefined;
  readonly marker: Marker;
  /** The bucket; undefined: there is none. */
  readonly keeper: Keeper | undefined;
  readonly strikes: Strikes;
  readonly files: Files;
  readonly #lock: DirectoryLock;
  readonly ledger: Ledger;
  readonly alarms: Alarms;
  readonly erasures = new Erasures(this);
  readonly fileSweeps = new FileSweeps(this);
  readonly #trimmer: LogTrimmer | undefined;
  readonly #gate: Gate;
  readonly #tools: CellTools;
  /** What a client can make happen is told here; what ends or begins the node, and the app itself, writes as it likes. */
  readonly #log: Told;
  #stopService: StopService | void = undefined;
  #stopping: Promise<void> | undefined;
  #guard: Guard | undefined;
  readonly #parts: { readonly slots: SlotTable; readonly committer: Committer };
  #failed = false;
  /** The next run is about to begin; and it has lapsed again meanwhile. */
  #beginning = false;
  #lapsedAgain = false;

  constructor(
    options: NodeOptions,
    lock: DirectoryLock,
    catalog: Catalog,
    recovered: Recovered,
    keeper: Keeper | undefined,
  ) {
    this.options = options;
    this.keeper = keeper;
    this.clock = options.clock ?? systemClock;
    this.#lock = lock;
    this.catalog = catalog;
    this.recovered = recovered;
    const { app, dataDirectory, log } = options;
    const steady = steadyLog(log);
    this.#log = steady;
    const { warn } = steady;
    const folder = path.join(dataDirectory, "log");
    this.logIndex = new LogIndex(folder);
    const { run, runId, slots, firstFile, doubtfulThrough } = recovered;
    const onFailed = (error: unknown): void => this.#fatal(error);
    this.commitLog = new CommitLog({
      folder,
      run,
      firstFile,
      onFailed,
      ...(options.io && { io: options.io }),
      ...(options.logFileBytes !== undefined && { fileBytes: options.logFileBytes }),
      bucket: keeper !== undefined || options.bucketLog === true,
    });
    const covered: Gate = (lsn, bucketLsn, done) => this.commitLog.waitCovered(lsn, bucketLsn, done);
    const believed: Gate = (lsn, bucketLsn, done) => covered(lsn, bucketLsn, () => keeper?.whileBelieved(done));
    this.#gate = options.gate ?? (keeper === undefined ? covered : believed);
    this.ledger = new Ledger(catalog, this.commitLog, slots, warn);
    const trimmer = keeper && new LogTrimmer(dataDirectory, catalog, this.commitLog, options.localLogBytes);
    this.#trimmer = trimmer;
    this.commitLog.onFile = () => {
      trimmer?.left(this.commitLog.current?.number ?? 0);
      void this.ledger.flush().then(() => this.#trim());
    };
    const committer = new Committer(this.commitLog, slots, runId, (entry) => this.ledger.changed(entry));
    this.#parts = { slots, committer };
    this.upgrades = new Upgrades(this.clock);
    const shares = shareDescriptors();
    this.marker = new Marker((options.maxSyncMs ?? 0) > 0);
    this.strikes = new Strikes({ directory: dataDirectory, now: () => this.clock.now(), warn });
    const bucket = keeper?.bucket ?? { url: urlInside(dataDirectory) };
    this.files = new Files({ bucket, spool: path.join(dataDirectory, "tmp") });
    this.host = new Host({
      app,
      directory: dataDirectory,
      committer,
      ledger: this.ledger,
      durability: options.durability,
      run,
      doubtfulThrough,
      maxOpen: options.maxOpenCells ?? shares.openCells,
      mostOpen: options.mostOpenCells ?? shares.mostCells,
      maxRss: options.maxRssBytes ?? memoryShare(),
      clock: this.clock,
      gate: this.#gate,
      sockets: this.#sockets(committer, warn),
      files: this.files,
      dev: options.dev === true,
      marker: this.marker,
      strikes: this.strikes,
      pathOfLogFile: (file) => this.logIndex.pathOf(file),
      slots: keeper,
      putContent: keeper && ((entry, file) => new PastDoor(keeper).putContent(entry, file)),
      warn,
      fatal: onFailed,
    });
    const events: AlarmsNode["events"] = { event: (...event) => this.host.laterEvent(...event) };
    this.alarms = new Alarms({ app, ledger: this.ledger, clock: this.clock, events, log: steady });
    committer.onAlarm = (entry) => this.alarms.changed(entry);
    this.control = controlOf(this);
    this.#tools = cellToolsOf(this);
    keeper?.attach({
      commitLog: this.commitLog,
      learned: (entries) => entries.forEach((entry) => this.alarms.changed(entry)),
      runEnded: (how, why) => this.#runEnded(how, why),
    });
    this.#exposed = app.exposure && new ExposedCalls(this.#callTarget(), app.exposure);
  }

  /** Answers calls of exposed verbs; undefined: there are none. */
  get handleCall(): HttpHandler | undefined {
    const { upgrades, clock } = this;
    const exposed = this.#exposed;
    if (exposed === undefined) return undefined;
    const [overHttp, overSocket] = [httpCalls(exposed), socketCalls(exposed, upgrades, clock)];
    return (request, info) => (isSocketTarget(new URL(request.url).pathname) ? overSocket : overHttp)(request, info);
  }

  #callTarget(): CallTarget {
    const { app, dev = false } = this.options;
    return {
      app,
      open: () => new Session(this.#gate),
      call: (session, kind, name, verb, args) => this.host.calls.call(session, kind, name, verb, args),
      getFor: (session) => this.host.stubs.getFor(session),
      refuse: () => this.state().refuse,
      log: this.#log,
      tell: dev,
    };
  }

  #sockets(committer: Committer, warn: NodeLog["warn"]): SocketRegistry {
    const { commitLog, clock, upgrades } = this;
    const events: CellEvents = { event: (...event) => this.host.event(...event) };
    const gate: SocketGate = {
      get lsn() {
        return commitLog.appended;
      },
      get bucketLsn() {
        return committer.bucketLsn;
      },
      covers: (lsn, bucketLsn) => commitLog.covers(lsn, bucketLsn),
      wait: this.#gate,
    };
    return new SocketRegistry(gate, new Gateway({ upgrades, events, clock, warn }), this.options.maxSocketsPerCell);
  }

  /** Answers a request with the app's `fetch`; nothing is told before it is as durable as was asked. */
  handle(request: Request, info: HandleInfo): Promise<Response> {
    const { fetch } = this.options.app.definition;
    if (fetch === undefined) return Promise.resolve(new Response("this app answers no requests\n", { status: 404 }));
    const session = new Session(this.#gate);
    info.audience = session;
    let response: Response | Promise<Response>;
    try {
      response = fetch(request, new RequestContext(this.host.stubs.getFor(session), this.#tools, info));
    } catch (error) {
      // Not thrown on at once: a failure tells something too.
      response = Promise.reject(error);
    }
    if (!(response instanceof Promise)) return this.#told(session, response);
    const answer = response;
    return new Promise((resolve, reject) => {
      session.fail = reject;
      answer.then(
        (value) => (this.#covers(session) ? resolve(value) : void session.told().then(() => resolve(value))),
        (error: unknown) => void session.told().then(() => reject(error)),
      );
    });
  }

  async #told(session: Session, answer: Response): Promise<Response> {
    if (!this.#covers(session)) await session.told();
    return answer;
  }

  #covers({ lsn, bucketLsn }: Session): boolean {
    return this.commitLog.covers(lsn, bucketLsn) && this.keeper?.believed !== false;
  }

  state(): NodeState {
    if (this.#stopping !== undefined || this.#failed) return { ready: false, refuse: "stopping" };
    const away = this.keeper?.believed === false;
    return away || this.commitLog.backlogged ? { ready: false, refuse: "overloaded" } : { ready: true };
  }

  /** Starts what the app runs beside its front door, then the alarms. */
  async startServices(): Promise<void> {
    const { app, log, dataDirectory } = this.options;
    const get = gatedGet(app, this.host.calls, this.#gate);
    this.#stopService = await app.definition.start?.({ get, log, dataDirectory, ...this.#tools });
    if (this.#stopping === undefined) this.alarms.start();
    if (this.#stopping === undefined) this.erasures.start();
    if (this.#stopping === undefined) this.fileSweeps.start();
    void this.keeper?.openAll();
  }

  /** Watches that nothing holds the event loop for longer than `maxSyncMs`, if that is stated. Until the node stops. */
  watch(options: GuardOptions): void {
    if (this.#guard === undefined && this.marker.watched) this.#guard = new Guard(this, options);
  }

  /** Stops gracefully: services, running verbs, flush, close, mark clean. Safe to call again. */
  stop(graceMs: number = STOP_GRACE_MS): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    this.alarms.stop();
    this.erasures.stop();
    this.fileSweeps.stop();
    // The front door has done so, where there is one.
    await this.upgrades.stop(graceMs);
    try {
      await this.#stopService?.();
    } catch (error) {
      this.options.log.error({ err: error }, "a service of the app did not stop cleanly");
    }
    await this.host.settle(graceMs);
    this.host.endWork();
    await this.#guard?.stop();
    await this.files.stop();
    // A log that failed never says that it is flushed; what is on disk is for the next start to find out.
    if (this.#failed) {
      await this.keeper?.stop();
      return this.#release();
    }
    await this.commitLog.flushed();
    await this.ledger.flush();
    await this.commitLog.close();
    const seal = (await this.keeper?.finish()) ?? 0;
    await this.keeper?.stop();
    this.host.closeAll();
    const synced = await syncFileSystem(this.options.dataDirectory);
    if (!this.#failed) this.#markClean(synced, seal);
    this.#release();
  }

  #release(): void {
    this.catalog.close();
    this.#lock.release();
  }

  #markClean(synced: boolean, seal: Seq | 0): void {
    try {
      const row = this.catalog.runs().find((known) => known.run === this.commitLog.run);
      if (row !== undefined) this.catalog.putRun({ ...row, ended: "clean", synced, seal });
    } catch (error) {
      this.options.log.warn(
        { err: error },
        "the stop could not be marked clean; the next start recovers as after a crash",
      );
    }
  }

  /** What this disk has of the log goes, as far as the bucket has it too. */
  forgetLog(): void {
    this.#trim(0);
  }

  #trim(keep?: number): void {
    try {
      this.#trimmer?.trim(keep);
    } catch (error) {
      this.#log.warn({ err: error }, "log files that are in the bucket could not be removed; it will be tried again");
    }
  }

  #runEnded(how: "lapsed" | "sealed" | "failed", why: string): void {
    if (this.#stopping !== undefined || this.#failed) return;
    const { keeper, options } = this;
    if (how !== "lapsed" || keeper === undefined) {
      const what = how === "sealed" ? "another node has taken over" : "the log cannot be uploaded";
      return this.#fatal(new FrondError("LOG_FAILED", `${what}: ${why}`));
    }
    options.log.warn({ why }, "the lease has lapsed: requests are refused until the bucket can be reached");
    this.alarms.stop();
    this.#lapsedAgain = this.#beginning;
    if (!this.#beginning) this.#goOn(keeper);
  }

  #goOn(keeper: Keeper): void {
    const { options, catalog, commitLog, ledger, host } = this;
    this.#beginning = true;
    nextRun({ ...this.#parts, options, keeper, catalog, commitLog, ledger, host }).then(
      () => {
        this.#beginning = false;
        if (this.#lapsedAgain) {
          this.#lapsedAgain = false;
          return this.#goOn(keeper);
        }
        options.log.info({ run: this.commitLog.run }, "the bucket is back: the node serves again, as a new run");
        if (this.#stopping === undefined) this.alarms.start();
      },
      (error: unknown) => {
        if (this.#stopping === undefined) this.#fatal(error);
      },
    );
  }

  #fatal(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.options.log.error({ err: error }, "the node cannot go on; it recovers at its next start");
    if (this.options.onFatal) this.options.onFatal(error);
    else process.exit(EXIT_FATAL);
  }
}

/** Three quarters of the memory that this process may have, in bytes. */
function memoryShare(): number {
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return Math.floor(0.75 * (limit > 0 && limit < total ? limit : total));
}

// `sync -f` flushes one file system; without it a clean stop still counts, but not over a loss of power.
async function syncFileSystem(directory: string): Promise<boolean> {
  try {
    await promisify(execFile)("sync", ["-f", directory]);
    return true;
  } catch {
    return false;
  }
}
