// What a process of the bucket world can do: wait, ask the bucket, and do so for the machines that need several requests.
// Everything that happens to it happens here too: answers that come too late for its life, clocks that stop, standing still.

import type { IntentEvent } from "../../src/core/intent.ts";
import type { Clocks } from "../../src/core/lease.ts";
import type { LogListing, LogObject } from "../../src/core/runLog.ts";
import { Sealing, type SealingEvent, type SealingStep } from "../../src/core/sealing.ts";
import type { RunId, Seq } from "../../src/types.ts";
import { keys, type Stored, TTL, type World } from "./bucketWorld.ts";

export class Hands {
  readonly #world: World;
  readonly #rate: number;
  #life = 0;
  #frozen = false;
  readonly #held: (() => void)[] = [];
  /** How far the clocks are behind the world's time, in ms. */
  #behind = { monotonic: 0, wall: 0 };
  /** The bucket can be reached. */
  reachable = true;
  /** No clock of this machine ever stood without another one showing it. */
  clocksRan = true;

  constructor(world: World) {
    this.#world = world;
    this.#rate = 1 + world.random.between(-3, 3) / 100;
  }

  /** The process ended, or another one began: what was under way has nobody to tell. */
  nextLife(): number {
    this.#life += 1;
    return this.#life;
  }

  get clocks(): Clocks {
    const { now } = this.#world;
    const wall = (now - this.#behind.wall) * this.#rate + 5_000_000;
    return { monotonic: (now - this.#behind.monotonic) * this.#rate, wall, boot: wall };
  }

  /** Runs in this life of the process, later if the machine stands. */
  #deliver(life: number, run: () => void): void {
    if (life !== this.#life) return;
    if (this.#frozen) this.#held.push(() => this.#deliver(life, run));
    else run();
  }

  after(ms: number, run: () => void, life = this.#life): void {
    this.#world.after(ms, () => this.#deliver(life, run));
  }

  ask<T>(effect: () => T, reply: (answer: T | "failed") => void, slowMs = 0): void {
    const life = this.#life;
    this.#world.request(this.reachable, slowMs, effect, (answer) => this.#deliver(life, () => reply(answer)));
  }

  /** The worst moment for standing still is between two steps of a create. */
  stands(share: number): boolean {
    const { random, isFaulty, calm, freezes } = this.#world;
    if (!isFaulty || calm || this.#frozen || !random.chance(share * freezes)) return false;
    this.freeze();
    return true;
  }

  pause(tries: number, run: () => void): void {
    this.after(Math.min(2_000, 50 * 2 ** Math.min(tries, 6)), run);
  }

  freeze(): void {
    const { random } = this.#world;
    const ms = random.pick([TTL / 4, TTL, 3 * TTL, 6 * TTL]) * (0.5 + random.next());
    const kind = random.pick(["stopped", "stopped", "slept", "paused"]);
    this.#frozen = true;
    this.#world.after(ms, () => {
      if (kind !== "paused") this.#behind.monotonic += ms;
      if (kind === "stopped") {
        this.#behind.wall += ms;
        this.clocksRan = false;
      }
      this.#frozen = false;
      for (const run of this.#held.splice(0)) run();
    });
  }

  create(
    key: string,
    stored: Stored,
    tell: (event: { saw: "created" | "exists" | "unknown" }) => void,
    slowMs = 0,
  ): void {
    if (this.stands(0.5)) return this.after(1, () => this.create(key, stored, tell, slowMs));
    this.ask(
      () => this.#world.create(key, stored),
      (answer) => {
        if (answer !== "failed") tell({ saw: answer });
        else tell({ saw: this.#world.broken === "unknown is created" ? "created" : "unknown" });
      },
      slowMs,
    );
  }

  readBack<F>(key: string, ours: Stored, as: (stored: Stored) => F, tell: (event: IntentEvent<F>) => void): void {
    if (this.stands(0.5)) return this.after(1, () => this.readBack(key, ours, as, tell));
    this.ask(
      () => this.#world.bucket.get(key),
      (found) => {
        if (found === "failed") tell({ saw: "failed" });
        else if (found === undefined) tell({ saw: "absent" });
        else if (found !== ours || this.#world.broken === "exists after unknown is a defeat") {
          tell({ saw: "other", found: as(found) });
        } else tell({ saw: "ours" });
      },
    );
  }

  readBase(run: RunId, tell: (event: { saw: "base"; base: Seq } | { saw: "failed" }) => void): void {
    this.ask(
      () => this.#world.listLog(run).base,
      (base) => tell(base === "failed" ? { saw: "failed" } : { saw: "base", base }),
    );
  }

  /** Numbers and base are read one after the other, and a long time may pass in between. */
  list(run: RunId, order: "numbers first" | "any", done: (listing: LogListing | "failed") => void): void {
    const read = (then: (listing: LogListing | "failed") => void): void =>
      this.ask(() => this.#world.listLog(run), then);
    read((first) => {
      const next = (): void =>
        read((second) => {
          if (first === "failed" || second === "failed") done("failed");
          else if (order === "any" && this.#world.random.chance(0.5))
            done({ base: first.base, numbers: second.numbers });
          else done({ base: second.base, numbers: first.numbers });
        });
      this.after(this.stands(5) ? 1 : 0, next);
    });
  }

  /** Ends the log of a run. */
  seal(run: RunId, done: (seal: Seq) => void): void {
    const { broken } = this.#world;
    const sealing = new Sealing();
    let stored: Stored = { is: "seal", intent: 0 };
    const tell = (event: SealingEvent): void => on(sealing.on(event));
    const on = (step: SealingStep): void => {
      switch (step.do) {
        case "list":
          return this.list(run, "any", (listing) => {
            if (listing === "failed") return tell({ saw: "failed" });
            if (broken !== "seal behind the highest") return tell({ saw: "listing", listing });
            const highest = Math.max(0, ...listing.numbers);
            const numbers = highest === 0 ? [] : [highest as Seq];
            tell({ saw: "listing", listing: { base: Math.max(1, highest) as Seq, numbers } });
          });
        case "read":
          return this.ask(
            () => this.#world.bucket.get(keys.log(run, step.seq)),
            (found) => {
              if (found === "failed") tell({ saw: "failed" });
              else tell(found === undefined ? { saw: "absent" } : { saw: "object", found: asLogObject(found) });
            },
          );
        case "create":
          if (broken === "no seal") return done(step.seq);
          stored = { is: "seal", intent: this.#world.unique() };
          return this.create(keys.log(run, step.seq), stored, tell);
        case "read back":
          return this.readBack(keys.log(run, step.seq), stored, asLogObject, tell);
        case "pause":
          return this.pause(step.tries, () => tell({ saw: "waited" }));
        case "read base":
          return this.readBase(run, tell);
        case "sealed":
          return done(step.seal);
        case "stop":
          this.#world.observer.wrong(`sealing ${run} stops at ${step.seq}: ${step.why}`);
      }
    };
    on(sealing.start());
  }

  removeLease(run: RunId): void {
    this.ask(
      () => this.#world.bucket.delete(keys.lease(run)),
      () => undefined,
    );
  }

  /** Raises the base of a log and deletes what stands below it. */
  cleanLog(run: RunId, base: Seq, between: (then: () => void) => void): void {
    const { broken, bucket } = this.#world;
    const raise = (then: () => void): void =>
      this.ask(
        () => void bucket.set(keys.base(run, base), { is: "mark", mark: "" }),
        (answer) => {
          if (answer !== "failed") between(then);
        },
      );
    const deleteAll = (then: () => void): void =>
      this.ask(
        () => {
          for (const seq of this.#world.listLog(run).numbers) {
            const key = keys.log(run, seq);
            if (bucket.get(key)?.is !== "seal") {
              if (seq < base) bucket.delete(key);
            } else if (broken === "seal removed by clean-up") bucket.delete(key);
          }
        },
        () => between(then),
      );
    const nothing = (): void => undefined;
    if (broken === "deletes before the base is raised") deleteAll(() => raise(nothing));
    else raise(() => deleteAll(nothing));
  }

  deleteBelow(prefix: string, key: string): void {
    this.ask(
      () => {
        for (const other of this.#world.bucket.keys()) {
          if (other.startsWith(prefix) && other < key) this.#world.bucket.delete(other);
        }
      },
      () => undefined,
    );
  }
}

export function asLogObject(stored: Stored): LogObject {
  if (stored.is === "seal") return { is: "seal" };
  if (stored.is !== "segment") return { is: "damaged" };
  return { is: "segment", from: stored.from, to: stored.to };
}
