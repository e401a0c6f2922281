// The soak: a real node under a steady mixed load, killed and started again, for as long as somebody has time.
//
// Rule: it fails for what is lost, for what no node should answer, and for growth: memory and descriptors within the lives of
// the process, and from the first life to the last. Between long lives there are a few of seconds, so that starts are killed
// too. It needs Linux, whose /proc tells what a process holds.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Sample, slopeBetween, slopeWithin } from "./flat.ts";
import { Random } from "./random.ts";
import type { SoakBreakage } from "./soakApp.ts";
import { SoakClient } from "./soakClient.ts";
import { SoakNode, type Vitals } from "./soakNode.ts";

/** What a soak is made of. */
export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Calls per second. */
  readonly rate: number;
  /** Length of the long lives, in seconds; what of their beginning does not count; and between two looks. */
  readonly life: number;
  readonly warmUp: number;
  readonly every: number;
  /** Growth that is still flat: MiB of memory, and descriptors, per minute. */
  readonly maxRssSlope: number;
  readonly maxFdSlope: number;
  readonly broken?: SoakBreakage;
  /** A line about every minute, and at every end of a life. */
  readonly log?: (line: string) => void;
}

/** Growth per minute; undefined: too little was seen to say. */
export interface Slopes {
  readonly within: number | undefined;
  readonly between: number | undefined;
}

/** What came of it. */
export interface SoakResult {
  /** Sentences, empty when all is well. */
  readonly violations: readonly string[];
  readonly seconds: number;
  readonly kills: number;
  readonly answered: number;
  readonly acknowledged: number;
  readonly rss: Slopes;
  readonly fds: Slopes;
  readonly samples: readonly (Sample & Vitals & { readonly answered: number })[];
  /** The data directory, kept when something was violated. */
  readonly directory: string | undefined;
}

const LINE_SECONDS = 60;

/** Runs the soak. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const run = new Soak(options);
  try {
    return await run.run();
  } finally {
    run.clean();
  }
}

class Soak {
  readonly #o: SoakOptions;
  readonly #random: Random;
  readonly #client: SoakClient;
  readonly #directory = fs.mkdtempSync(path.join(os.tmpdir(), "frond-soak-"));
  readonly #samples: (Sample & Vitals & { answered: number })[] = [];
  readonly #violations: string[] = [];
  readonly #began = performance.now();
  #node: SoakNode | undefined;
  #kills = 0;
  #lives = 0;
  #lineAt = 0;

  constructor(options: SoakOptions) {
    this.#o = options;
    this.#random = new Random(options.seed);
    this.#client = new SoakClient(this.#random.fork());
  }

  async run(): Promise<SoakResult> {
    while (this.#at() < this.#o.seconds && this.#sound()) {
      for (let n = this.#random.between(0, 2); n > 0; n--) await this.#live(this.#random.next() * 0.2 * this.#o.life);
      await this.#live(this.#o.life);
    }
    if (this.#sound()) await this.#finish();
    const { maxRssSlope, maxFdSlope } = this.#o;
    const rss = this.#slopes("memory", "MiB", maxRssSlope, (sample) => sample.rssMiB);
    const fds = this.#slopes("descriptors", "more", maxFdSlope, (sample) => sample.fds);
    const { answered, acknowledged } = this.#client;
    const violations = [...this.#violations, ...this.#client.wrong];
    const directory = violations.length > 0 ? this.#directory : undefined;
    const [seconds, kills, samples] = [Math.round(this.#at()), this.#kills, this.#samples];
    return { violations, seconds, kills, answered, acknowledged, rss, fds, samples, directory };
  }

  clean(): void {
    if (this.#node?.over === false) void this.#node.end("SIGKILL");
    if (this.#violations.length + this.#client.wrong.length === 0) {
      fs.rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  /** One life: start, check, work, kill. */
  async #live(seconds: number): Promise<void> {
    if (!this.#sound() || this.#at() >= this.#o.seconds) return;
    const node = await this.#start();
    if (node === undefined) return;
    const began = performance.now();
    const age = (): number => (performance.now() - began) / 1000;
    this.#lives += 1;
    const working = this.#work(node);
    while (!node.over && age() < seconds && this.#at() < this.#o.seconds) {
      await Promise.race([sleep(Math.min(this.#o.every, Math.max(seconds - age(), 0)) * 1000), node.ended]);
      await this.#look(node, age());
    }
    if (node.over) this.#violations.push(`the node ended by itself, ${await node.ended}`);
    await node.end("SIGKILL");
    await working;
    await this.#client.pause();
    this.#kills += 1;
  }

  /** The load begins with the look at everything, so that a kill can come in the middle of that too. */
  async #work(node: SoakNode): Promise<void> {
    const before = this.#client.wrong.length;
    await this.#client.check(node.port);
    // Of a node that is killed meanwhile not everything can be read.
    if (node.over) this.#client.wrong.splice(before);
    else this.#client.begin(node.port, this.#o.rate);
  }

  async #look(node: SoakNode, age: number): Promise<void> {
    const vitals = await node.vitals();
    if (vitals === undefined) return;
    const at = this.#at();
    const sample = { life: this.#lives, age, at, answered: this.#client.answered, ...vitals };
    this.#samples.push(sample);
    if (at < this.#lineAt) return;
    this.#lineAt = at + Math.min(LINE_SECONDS, this.#o.seconds / 10);
    const { rssMiB, peakMiB, fds, openCells, answered } = sample;
    this.#o.log?.(
      `${clock(at)}  life ${this.#lives}, ${Math.round(age)} s old  rss ${rssMiB.toFixed(0)} MiB (peak ${peakMiB.toFixed(0)})  fds ${fds}  ` +
        `open cells ${openCells}  answered ${answered}  acknowledged ${this.#client.acknowledged}`,
    );
  }

  async #start(): Promise<SoakNode | undefined> {
    const node = new SoakNode(this.#directory, this.#o.broken);
    this.#node = node;
    if (await node.ready(this.#directory)) return node;
    this.#violations.push(`a start failed, ${await node.end("SIGKILL")}`);
    return undefined;
  }

  /** Everything is there, and every alarm has run; then a clean stop, and it is there again. */
  async #finish(): Promise<void> {
    for (const first of [true, false]) {
      const node = await this.#start();
      if (node === undefined) return;
      if (first) await sleep(SoakClient.alarmsDoneMs);
      await this.#client.check(node.port, true);
      const end = await node.end("SIGTERM");
      if (!end.startsWith("code 0,")) this.#violations.push(`a stop failed, ${end}`);
    }
  }

  #slopes(what: string, unit: string, most: number, value: (sample: Sample) => number): Slopes {
    const { warmUp } = this.#o;
    const within = slopeWithin(this.#samples, value, warmUp);
    const between = slopeBetween(this.#samples, value, warmUp);
    for (const [where, slope] of [
      ["within the lives of the node", within],
      ["from its first life to its last", between],
    ] as const) {
      if (slope === undefined || slope <= most) continue;
      this.#violations.push(`${what} grew ${where}: ${slope.toFixed(2)} ${unit} per minute, ${most} is allowed`);
    }
    return { within, between };
  }

  #sound(): boolean {
    return this.#violations.length === 0 && this.#client.wrong.length === 0;
  }

  #at(): number {
    return (performance.now() - this.#began) / 1000;
  }
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`.padStart(6);
}
