// Torture of the alarms: a node is killed again and again while alarms are armed, cancelled and fire (I8).
//
// Rule: the harness believes what it was told and what the cells wrote down when an alarm ran, and nothing else. At the end
// the node is left alone, so that everything that is armed can fire; then each alarm must have fired, none before its
// time, none after its cancellation was acknowledged, and a synchronous one exactly once: its effect is one with its end.

import { type ChildProcess, fork } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { alarmsFire, type AlarmStory } from "../core/invariants.ts";
import type { AlarmBreakage, AlarmsConfig, AlarmsMessage, Fired, WakerCall } from "./alarmsEntry.ts";
import { Random } from "./random.ts";

/** What a run is made of. */
export interface AlarmTortureOptions {
  /** Kills. */
  readonly rounds: number;
  readonly seed: number;
  readonly broken?: AlarmBreakage;
  /** One line for each round. */
  readonly log?: (line: string) => void;
}

/** What came of it. */
export interface AlarmTortureResult {
  /** Sentences, empty when every promise was kept. */
  readonly violations: readonly string[];
  readonly armed: number;
  readonly cancelled: number;
  readonly fired: number;
  /** The data directory, kept when something was violated. */
  readonly directory: string | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Story extends Writable<AlarmStory> {
  readonly how: "arm" | "plan" | "planSlow";
  id: number | undefined;
}

const CELLS = 24;
/** What is armed is due within this time, in ms: in the round, in one of the next, or while the node is away. */
const AHEAD_MS = 2_500;
/** The time in which everything must have fired in the end, in ms. */
const PATIENCE_MS = 30_000;
const ENTRY = fileURLToPath(new URL(`./alarmsEntry${path.extname(import.meta.url)}`, import.meta.url));

/** Runs the torture of the alarms. */
export async function tortureAlarms(options: AlarmTortureOptions): Promise<AlarmTortureResult> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "frond-alarms-"));
  const random = new Random(options.seed);
  const stories: Story[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const node = new Life({ directory, broken: options.broken });
    // Some are killed in the middle of their start.
    const killAt = random.chance(0.2)
      ? sleep(random.between(0, 300))
      : node.ready.then(() => sleep(random.between(0, 500)));
    const work = node.ready.then(() => armMany(node, random, stories, round));
    await Promise.race([killAt, node.ended]);
    if (node.over) throw new Error(`the node ended by itself; its data is in ${directory}`);
    await node.kill();
    await Promise.race([work, sleep(0)]);
    options.log?.(`round ${round + 1}: ${stories.length} alarms so far`);
  }
  const last = new Life({ directory, broken: options.broken });
  await last.ready;
  // Some that no start will find in the index.
  for (let n = 1; n <= CELLS; n++) await armOne(last, random, stories, `c${n}`, `last-${n}`);
  const violations = await judge(last, stories, options.broken === undefined ? PATIENCE_MS : AHEAD_MS + 2_000);
  await last.kill();
  const kept = violations.length === 0 ? undefined : directory;
  if (kept === undefined || options.broken !== undefined) fs.rmSync(directory, { recursive: true, force: true });
  return {
    violations,
    armed: stories.filter((story) => story.armed).length,
    cancelled: stories.filter((story) => story.cancelled !== undefined).length,
    fired: stories.filter((story) => story.fired.length > 0).length,
    directory: options.broken === undefined ? kept : undefined,
  };
}

async function armMany(node: Life, random: Random, stories: Story[], round: number): Promise<void> {
  for (let n = 0; !node.over; n++) {
    const cell = `c${random.between(1, CELLS)}`;
    const one = random.chance(0.15)
      ? cancelOne(node, random, stories)
      : armOne(node, random, stories, cell, `${round}-${n}`);
    // Several at once, like clients.
    if (n % 8 === 7) await one;
    else void one;
    await sleep(random.between(0, 3));
  }
}

async function armOne(node: Life, random: Random, stories: Story[], cell: string, token: string): Promise<void> {
  const how = random.pick(["arm", "plan", "plan", "planSlow"] as const);
  const due = Date.now() + random.between(-100, AHEAD_MS);
  const story: Story = { cell, token, due, armed: false, cancelled: undefined, fired: [], how, id: undefined };
  // One alarm of the hook for each cell: the ones before are replaced, should this arrive.
  const replaced = how === "arm" ? stories.filter((other) => other.how === "arm" && other.cell === cell) : [];
  const open = replaced.filter((other) => other.cancelled === undefined || other.cancelled === Infinity);
  for (const other of open) other.cancelled = Infinity;
  stories.push(story);
  const answer = await node.call(cell, how, [token, due]);
  if (answer === undefined) return;
  story.armed = true;
  story.id = answer.value as number | undefined;
  for (const other of open) other.cancelled = Date.now();
}

async function cancelOne(node: Life, random: Random, stories: Story[]): Promise<void> {
  if (stories.length === 0) return;
  const story = random.pick(stories);
  if (story.id === undefined || story.cancelled !== undefined) return;
  story.cancelled = Infinity;
  const answer = await node.call(story.cell, "cancel", [story.id]);
  // False: it had fired. A slow one that runs is not stopped by its cancellation.
  if (answer?.value === true && story.how === "plan") story.cancelled = Date.now();
  else if (answer?.value === false) story.cancelled = undefined;
}

/** Waits until everything that must fire has fired, or patience ends, and compares. */
async function judge(node: Life, stories: Story[], patienceMs: number): Promise<string[]> {
  const until = Math.max(0, ...stories.map((story) => story.due));
  const deadline = Math.max(Date.now(), until) + patienceMs;
  const known = new Map(stories.map((story) => [story.token, story]));
  for (;;) {
    for (const story of stories) story.fired = [];
    for (let i = 1; i <= CELLS; i++) {
      const answer = await node.call(`c${i}`, "fired", []);
      for (const { token, at } of (answer?.value ?? []) as Fired[]) {
        const story = known.get(token);
        if (story !== undefined) story.fired = [...story.fired, at];
      }
    }
    const missing = stories.some((one) => one.armed && one.cancelled === undefined && one.fired.length === 0);
    if ((!missing && Date.now() > until) || Date.now() > deadline) break;
    await sleep(100);
  }
  const wrong = alarmsFire(stories, until);
  for (const { token, cell, how, fired } of stories) {
    if (how !== "planSlow" && fired.length > 1) wrong.push(`I6: ${token} of ${cell} took effect ${fired.length} times`);
  }
  return wrong;
}

/** One life of the process. */
class Life {
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  over = false;
  readonly #process: ChildProcess;
  readonly #answers = new Map<number, (answer: { value: unknown } | undefined) => void>();
  #calls = 0;

  constructor(config: AlarmsConfig) {
    this.#process = fork(ENTRY, [JSON.stringify(config)], {
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#process.on("message", (message: AlarmsMessage) => {
      if (message.what === "ready") return resolve();
      this.#answers.get(message.id)?.({ value: message.value });
      this.#answers.delete(message.id);
    });
    this.ended = new Promise((ended) => {
      this.#process.on("close", () => {
        this.over = true;
        for (const unheard of this.#answers.values()) unheard(undefined);
        ended();
      });
    });
  }

  /** Calls a cell; undefined: nothing was heard. */
  call(cell: string, verb: WakerCall["verb"], args: readonly unknown[]): Promise<{ value: unknown } | undefined> {
    if (this.over) return Promise.resolve(undefined);
    const id = this.#calls++;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#process.send({ id, cell, verb, args } satisfies WakerCall, () => {});
    });
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }
}
