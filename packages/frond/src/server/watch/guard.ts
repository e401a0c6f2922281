// What the watchdog means to a node: which cell its stuck code belongs to, and what becomes of the cell, of whoever waits for
// it, and of everything that was in the same turn of the event loop.
//
// Rule: the cell is as the log has it, at once: from the moment its code is condemned nothing of it is committed, and the
// instance is given up before any other event is let in. Whoever waits is told. After an end by force that may have
// taken other continuations along, everything of the runtime that goes on by such steps is set going again; what has
// not come to an end after the time that stuck code may take is told that it is lost; and a log that does not answer by then ends
// the process, which recovers.

import { type Invocation, invocations } from "../../cell/invocation.ts";
import { FrondError } from "../../errors.ts";
import type { Address } from "../../types.ts";
import type { LogLevel } from "../logLine.ts";
import type { Node } from "../node.ts";
import { type Ended, Watchdog } from "./watchdog.ts";
import type { Culprit } from "./watchdogTalk.ts";

/** A front door, as far as its requests can be stuck. */
export interface GuardedDoor {
  /** The handler of a request was ended by force, if one was being called. */
  brokenOff(error: FrondError): void;
  /** Requests in work now may have been lost: those that have no answer after `ms` are answered with `error`. */
  shaken(error: FrondError, ms: number): void;
}

export interface GuardOptions {
  readonly door?: GuardedDoor;
  readonly logFormat: "text" | "json";
  readonly logLevel: LogLevel;
}

/** See the head of the file. One per node, from its start to its stop. */
export class Guard {
  readonly #node: Node;
  readonly #door: GuardedDoor | undefined;
  readonly #maxSyncMs: number;
  readonly #watchdog: Watchdog | undefined;
  #condemned: Invocation | undefined;

  constructor(node: Node, options: GuardOptions) {
    this.#node = node;
    this.#door = options.door;
    const { dataDirectory: directory, maxSyncMs = 0, log } = node.options;
    this.#maxSyncMs = maxSyncMs;
    const { logFormat, logLevel } = options;
    this.#watchdog = Watchdog.start({
      host: {
        marker: node.marker,
        describe: () => this.#describe(),
        critical: () => node.host.critical,
        condemn: (error) => this.#condemn(error),
        ended: (how) => this.#ended(how),
        shaken: () => this.#shaken(),
      },
      directory,
      run: node.recovered.run,
      maxSyncMs,
      logFormat,
      logLevel,
      onFailed: (err) =>
        log.error({ err }, "the watchdog has failed: nobody watches for code that holds the event loop"),
    });
  }

  async stop(): Promise<void> {
    await this.#watchdog?.stop();
  }

  /** The invocation of the code on the stack, if it is of a cell of this node. */
  #invocation(): Invocation | undefined {
    const invocation = invocations.getStore();
    return invocation?.cell.host === this.#node.host ? invocation : undefined;
  }

  #describe(): Culprit | undefined {
    const invocation = this.#invocation();
    return invocation && { address: invocation.cell.address, verb: invocation.verb };
  }

  #condemn(error: FrondError): void {
    const invocation = this.#invocation();
    if (invocation === undefined) return;
    this.#condemned = invocation;
    invocation.failed ??= error;
    invocation.cell.condemned = error;
  }

  #ended({ culprit, error, byForce }: Ended): void {
    const invocation = this.#condemned;
    this.#condemned = undefined;
    const { host, strikes, options } = this.#node;
    const { opening } = host;
    if (byForce) {
      // What was left by frames that are gone.
      host.running = undefined;
      host.critical = false;
      host.opening = undefined;
    }
    if (invocation !== undefined) {
      const { cell } = invocation;
      // One that was being opened, and is not, has been closed by who opened it.
      if (byForce || host.openCell(cell.address) === cell) cell.reset(error);
      if (byForce) {
        for (let one: Invocation | undefined = invocation; one?.cell === cell; one = one.parent) one.fail?.(error);
        opening?.fail?.(error);
      }
    }
    if (byForce) {
      this.#node.upgrades.connections.brokenOff();
      this.#door?.brokenOff(error);
      host.calls.queues.resume();
    }
    options.log.error({ ...culprit, err: error }, "code held the event loop for too long and was ended");
    // What held the loop may be left over from an instance before: the present one is parked with its cell.
    if (culprit !== undefined && strikes.add(culprit.address, error.message)) {
      host.openCell(culprit.address as Address)?.reset(error);
    }
  }

  #shaken(): void {
    const { host, commitLog, ledger } = this.#node;
    host.shaken();
    const message = "code that held the event loop was ended by force, and this may have been lost with it";
    const lost = new FrondError("OUTCOME_UNKNOWN", `${message}; it may have happened`);
    this.#door?.shaken(lost, this.#maxSyncMs);
    const dead = setTimeout(
      () => host.fatal(new Error("the log was lost with code that was ended by force: it does not answer any more")),
      this.#maxSyncMs,
    ).unref();
    void Promise.all([commitLog.flushed(), ledger.flush()]).then(() => clearTimeout(dead));
  }
}
