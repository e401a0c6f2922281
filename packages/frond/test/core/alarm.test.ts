// The machine of the alarms against a model of the index, over random histories: cells arm, re-arm, cancel; runs last,
// re-arm, are refused; the clock stands, runs and is set back. What a checker must catch is shown with machines that are
// wrong in one way each.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AlarmEnd,
  type AlarmLimits,
  AlarmMachine,
  type AlarmPlan,
  type Armed,
  compareArmed,
} from "../../src/core/alarm.ts";
import { alarmsFire, type AlarmStory } from "../../src/core/invariants.ts";
import { ALARM_PLACE_MS, ALARM_STARTS_PER_SECOND, ALARM_WINDOW, ALARMS_RUNNING } from "../../src/limits.ts";
import type { Address } from "../../src/types.ts";

const LIMITS: AlarmLimits = { startsPerSecond: 30, running: 3, placeMs: 1_000_000, window: 8 };
const START = 1_000_000;

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface Story extends Writable<AlarmStory> {
  fired: number[];
}

/** Everything around the machine: the index, the cells that run, the clock, and what was seen. */
class World {
  now = START;
  readonly stories: Story[] = [];
  readonly starts: number[] = [];
  mostRunning = 0;
  mostHeld = 0;
  readonly #index = new Map<Address, Story>();
  readonly #running = new Map<Address, Story>();
  readonly #machine: AlarmMachine;

  constructor(machine: AlarmMachine) {
    this.#machine = machine;
  }

  get running(): Address[] {
    return [...this.#running.keys()];
  }

  arm(address: Address, due: number, told = true): void {
    this.#cancelled(address);
    const token = `${address}#${this.stories.length}`;
    const story: Story = { cell: address, token, due, armed: true, cancelled: undefined, fired: [] };
    this.stories.push(story);
    this.#index.set(address, story);
    if (told) this.#machine.set(address, due);
  }

  cancel(address: Address): void {
    this.#cancelled(address);
    if (this.#index.delete(address)) this.#machine.cleared(address);
  }

  /** The run of a cell ends; having run, its alarm is gone, unless it was set anew meanwhile. */
  end(address: Address, end: AlarmEnd): void {
    const story = this.#running.get(address);
    if (story === undefined) return;
    this.#running.delete(address);
    if (end === "refused") story.fired.pop();
    else if (this.#index.get(address) === story) {
      this.#index.delete(address);
      this.#machine.cleared(address);
    }
    this.#machine.ended(address, end, this.now);
  }

  /** What the executor does; returns when to look again. */
  look(): number {
    for (let reads = 0; ; reads++) {
      if (reads > 1_000) throw new Error("the machine never has enough of reading");
      const { start, refill, wakeAt } = this.#machine.plan(this.now);
      for (const address of start) this.#start(address);
      this.mostHeld = Math.max(this.mostHeld, this.#machine.held);
      if (refill === undefined) return wakeAt;
      const behind = this.#armed().filter((armed) => compareArmed(armed, refill.after) > 0);
      const list = behind.slice(0, refill.limit);
      this.#machine.refilled(list, list.at(-1) ?? refill.after, list.length === behind.length);
    }
  }

  /** Lets everything that is armed come to its time and run. */
  finish(): void {
    const last = Math.max(this.now, ...[...this.#index.values()].map((story) => story.due)) + 1;
    for (let i = 0; i < 10_000; i++) {
      const wakeAt = this.look();
      if (this.running.length > 0) {
        for (const address of this.running) this.end(address, "ran");
        continue;
      }
      if (this.now > last && this.#index.size === 0) return;
      if (wakeAt === Infinity) return;
      this.now = Math.max(this.now, wakeAt);
    }
    throw new Error("the alarms never come to an end");
  }

  #start(address: Address): void {
    const story = this.#index.get(address);
    this.starts.push(this.now);
    if (story === undefined || this.#running.has(address)) throw new Error(`${address} was started without an alarm`);
    story.fired.push(this.now);
    this.#running.set(address, story);
    this.mostRunning = Math.max(this.mostRunning, this.#running.size);
  }

  #cancelled(address: Address): void {
    const story = this.#index.get(address);
    if (story !== undefined) story.cancelled = Math.max(this.now, ...story.fired);
  }

  #armed(): Armed[] {
    return [...this.#index.entries()].map(([address, { due }]) => ({ address, due })).sort(compareArmed);
  }
}

type Step =
  | { readonly do: "arm"; readonly cell: number; readonly inMs: number }
  | { readonly do: "cancel"; readonly cell: number }
  | { readonly do: "end"; readonly nth: number; readonly end: AlarmEnd }
  | { readonly do: "pass"; readonly ms: number };

const cells = 40;
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("arm" as const),
        cell: fc.nat(cells - 1),
        inMs: fc.integer({ min: -500, max: 3_000 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), cell: fc.nat(cells - 1) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("end" as const),
        nth: fc.nat(5),
        end: fc.constantFrom<AlarmEnd[]>("ran", "ran", "refused"),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: -2_000, max: 4_000 }) }),
    },
  ),
  { minLength: 1, maxLength: 120 },
);

function cell(number: number): Address {
  return `book/${String(number).padStart(2, "0")}` as Address;
}

function play(machine: AlarmMachine, history: readonly Step[], asleep = 0): World {
  const world = new World(machine);
  // Armed before this run of the node: only the index knows of them.
  for (let i = 0; i < asleep; i++) world.arm(cell(i), START - 1_000 + ((i * 37) % 3_000), false);
  for (const step of history) {
    if (step.do === "arm") world.arm(cell(step.cell), world.now + step.inMs);
    else if (step.do === "cancel") world.cancel(cell(step.cell));
    else if (step.do === "pass") world.now += step.ms;
    else {
      const address = world.running[step.nth];
      if (address !== undefined) world.end(address, step.end);
    }
    world.look();
  }
  world.finish();
  return world;
}

function wrongIn(world: World): string[] {
  return alarmsFire(world.stories, world.now);
}

describe("alarms of any history", () => {
  test("fire at least once and not before their time, those that only the index knew of too", () => {
    fc.assert(
      fc.property(steps, fc.nat(cells), (history, asleep) => {
        expect(wrongIn(play(new AlarmMachine(LIMITS), history, asleep))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("run few at once, and few are held in memory", () => {
    fc.assert(
      fc.property(steps, fc.nat(cells), (history, asleep) => {
        const world = play(new AlarmMachine(LIMITS), history, asleep);
        // A run that gave up its place goes on.
        expect(world.mostHeld).toBeLessThanOrEqual(LIMITS.window + world.mostRunning);
        expect(world.mostRunning).toBeLessThanOrEqual(LIMITS.running);
      }),
      { numRuns: 100 },
    );
  });

  test("are started at a bounded rate", () => {
    const world = new World(new AlarmMachine({ ...LIMITS, running: 1_000, window: 64 }));
    for (let i = 0; i < 200; i++) world.arm(cell(i), START - i, false);
    const before: number[] = [];
    for (let i = 0; i < 40 && world.starts.length < 200; i++) {
      const wakeAt = world.look();
      for (const address of world.running) world.end(address, "ran");
      world.now = Math.max(world.now + 1, Math.min(wakeAt, world.now + 1_000));
      before.push(world.starts.length);
    }
    world.finish();
    expect(world.starts).toHaveLength(200);
    for (const at of world.starts) {
      const within = world.starts.filter((other) => other >= at && other < at + 1_000).length;
      expect(within).toBeLessThanOrEqual(30 + 3);
    }
    // And not slower than that either.
    expect((world.starts.at(-1) as number) - START).toBeLessThanOrEqual(7_000);
  });

  test("10,000 that are due at once take 20 seconds, and no second has many more than its share", () => {
    const world = new World(
      new AlarmMachine({
        startsPerSecond: ALARM_STARTS_PER_SECOND,
        running: ALARMS_RUNNING,
        placeMs: ALARM_PLACE_MS,
        window: ALARM_WINDOW,
      }),
    );
    for (let i = 0; i < 10_000; i++) world.arm(cell(i), START - (i % 7), false);
    for (let ms = 0; ms < 20_000; ms += 10) {
      world.now = START + ms;
      world.look();
      for (const address of world.running) world.end(address, "ran");
    }
    expect(world.starts).toHaveLength(10_000);
    expect(world.mostHeld).toBeLessThanOrEqual(ALARM_WINDOW + ALARMS_RUNNING);
    const perSecond = new Map<number, number>();
    for (const at of world.starts) {
      const second = Math.floor((at - START) / 1_000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(ALARM_STARTS_PER_SECOND * 1.1);
  });

  test("a run that hangs gives up its place, so that a few cannot hold up all others", () => {
    const world = new World(new AlarmMachine(LIMITS));
    for (let i = 0; i < 5; i++) world.arm(cell(i), START);
    world.look();
    expect(world.running).toHaveLength(LIMITS.running);
    world.now += LIMITS.placeMs - 1;
    expect(world.look()).toBe(START + LIMITS.placeMs);
    expect(world.running).toHaveLength(3);
    world.now += 1;
    world.look();
    expect(world.running).toHaveLength(5);
  });

  test("a run that hangs gives up its place though the clock was set back meanwhile", () => {
    const world = new World(new AlarmMachine(LIMITS));
    for (let i = 0; i < 5; i++) world.arm(cell(i), START - 3_600_000);
    world.look();
    expect(world.running).toHaveLength(LIMITS.running);
    world.now -= 3_000_000;
    world.look();
    world.now += LIMITS.placeMs;
    world.look();
    expect(world.running).toHaveLength(5);
  });

  test("one that was refused is tried again later each time, and others go on meanwhile", () => {
    const world = new World(new AlarmMachine(LIMITS));
    const tried: number[] = [];
    world.arm(cell(0), START);
    for (let i = 0; i < 9; i++) {
      const wakeAt = world.look();
      if (world.running.length === 0) {
        world.now = wakeAt;
        world.look();
      }
      tried.push(world.now - START);
      world.end(cell(0), "refused");
    }
    const waits = tried.slice(1).map((at, i) => at - (tried[i] as number));
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000]);
    world.arm(cell(1), world.now);
    world.look();
    expect(world.running).toEqual([cell(1)]);
  });

  test("each has its turn, however many before it are refused for ever", () => {
    const world = new World(new AlarmMachine({ ...LIMITS, startsPerSecond: 500, window: 64 }));
    for (let i = 0; i < 3_000; i++) world.arm(cell(i), START - 10_000 + i, false);
    const behind = cell(3_000);
    world.arm(behind, START, false);
    const turns = new Set<Address>();
    for (let looks = 0; looks < 20_000 && !turns.has(behind); looks++) {
      const wakeAt = world.look();
      for (const address of world.running) {
        turns.add(address);
        world.end(address, address === behind ? "ran" : "refused");
      }
      world.now = Math.max(world.now + 1, Math.min(wakeAt, world.now + 1_000));
    }
    expect(turns).toContain(behind);
  });
});

describe("a machine that is wrong is caught", () => {
  const broken: Record<string, () => AlarmMachine> = {
    "that starts a second early": () =>
      new (class extends AlarmMachine {
        override plan(now: number): AlarmPlan {
          return super.plan(now + 1_000);
        }
      })(LIMITS),
    "that believes the first page of the index to be all": () =>
      new (class extends AlarmMachine {
        override refilled(list: readonly Armed[], through: Armed): void {
          super.refilled(list, through, true);
        }
      })(LIMITS),
    "that takes a refused run for a run": () =>
      new (class extends AlarmMachine {
        override ended(address: Address, end: AlarmEnd, now: number): void {
          if (end === "refused") this.cleared(address);
          super.ended(address, end, now);
        }
      })(LIMITS),
    "that hears of nothing while a cell runs": () =>
      new (class extends AlarmMachine {
        override set(address: Address, due: number): void {
          if (!this.isRunning(address)) super.set(address, due);
        }
      })(LIMITS),
    "that does not hear of cancelled ones": () =>
      new (class extends AlarmMachine {
        override cleared(address: Address): void {
          if (this.isRunning(address)) super.cleared(address);
        }
      })(LIMITS),
  };

  for (const [what, make] of Object.entries(broken)) {
    test(what, () => {
      const found = fc.check(
        fc.property(steps, fc.nat(cells), (history, asleep) => wrongIn(play(make(), history, asleep)).length === 0),
        { numRuns: 300 },
      );
      expect(found.failed).toBe(true);
    });
  }
});
