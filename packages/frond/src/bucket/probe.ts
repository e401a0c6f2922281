// The probe: whether a store does what a bucket must do.
//
// Rule: a store is believed only after it was seen to have one winner among concurrent creates, to show what was written,
// to replace, to list in order and to forget. What it did instead is said in numbers. The probe writes below a prefix of
// its own and removes it, whatever it found.
// Why at every start: what answers at an endpoint changes (a gateway before the store, a new version), and everything that
// must have one winner rests on it. It costs some 150 small requests; the quick form, one race, a tenth of that.
// Rejected: a list of known stores (names say nothing about versions and settings).

import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { FrondError, isFrondError } from "../errors.ts";
import type { Bucket, BucketCall } from "./bucket.ts";
import { createUntilKnown } from "./createUntilKnown.ts";

/** One thing that was looked at. */
export interface ProbeCheck {
  readonly check: "rights" | "create" | "read" | "overwrite" | "range" | "list" | "delete";
  readonly ok: boolean;
  /** What the store did, in one sentence. */
  readonly saw: string;
  /** How long it took, in ms. */
  readonly ms: number;
}

/** What a probe found in a store that passed. */
export interface ProbeReport {
  readonly url: string;
  readonly checks: readonly ProbeCheck[];
  /** What is not wrong now, but will be. */
  readonly warnings: readonly string[];
}

export interface ProbeOptions extends BucketCall {
  /** Only one race of creates: for a store that has passed before. */
  readonly quick?: boolean | undefined;
  /** Hears of each check when it begins. */
  readonly onBegin?: ((check: ProbeCheck["check"]) => void) | undefined;
  /** Hears of each check when it ends, of the one that fails too. */
  readonly onCheck?: ((check: ProbeCheck) => void) | undefined;
}

/** Concurrent creates of one key, and how often: a store that looks before it writes loses only some of these races. Counts. */
const CLAIMANTS = 16;
const ROUNDS = 3;
const QUICK_CLAIMANTS = 4;
/** Attempts of a create that tell nothing, after which the store counts as not reachable. Count. */
const ATTEMPTS = 3;

/**
 * Looks whether a store does what frond needs. Throws BUCKET_REFUSED, saying what it did instead; BUCKET_DENIED, naming what is
 * not allowed; BUCKET_FAILED when it cannot be reached.
 */
export async function probeBucket(bucket: Bucket, options: ProbeOptions = {}): Promise<ProbeReport> {
  const { onBegin, onCheck, signal, deadlineMs, quick = false } = options;
  const probe = new Probe(bucket, { signal, deadlineMs });
  const checks: ProbeCheck[] = [];
  try {
    for (const [check, look] of quick ? probe.quickChecks() : probe.checks()) {
      onBegin?.(check);
      const start = performance.now();
      let saw = "it failed";
      let ok = false;
      try {
        saw = await look();
        ok = true;
      } catch (error) {
        saw = error instanceof Error ? error.message : String(error);
        throw error;
      } finally {
        const done = { check, ok, saw, ms: Math.round(performance.now() - start) };
        checks.push(done);
        onCheck?.(done);
      }
    }
  } finally {
    await probe.remove();
  }
  return { url: bucket.url, checks, warnings: (await bucket.warnings?.({ signal, deadlineMs })) ?? [] };
}

/** The checks, in a prefix of their own. */
class Probe {
  readonly #bucket: Bucket;
  readonly #call: BucketCall;
  readonly #prefix = `probe/${randomUUID()}/`;
  /** Whatever may exist by now. */
  readonly #keys = new Set<string>();

  constructor(bucket: Bucket, call: BucketCall) {
    this.#bucket = bucket;
    this.#call = call;
  }

  checks(): [ProbeCheck["check"], () => Promise<string>][] {
    return [
      ["rights", () => this.#rights()],
      ["create", () => this.#create(CLAIMANTS, ROUNDS)],
      ["read", () => this.#read()],
      ["overwrite", () => this.#overwrite()],
      ["range", () => this.#range()],
      ["list", () => this.#list()],
      ["delete", () => this.#delete()],
    ];
  }

  quickChecks(): [ProbeCheck["check"], () => Promise<string>][] {
    return [["create", () => this.#create(QUICK_CLAIMANTS, 1)]];
  }

  /** Removes what the probe wrote; that it cannot is told by the check that deletes. */
  async remove(): Promise<void> {
    if (this.#keys.size === 0) return;
    const { deadlineMs } = this.#call;
    await this.#bucket.delete([...this.#keys], { deadlineMs }).catch(() => undefined);
  }

  /** Every operation once: whoever set up the rights wants to hear of all that is missing, not of one after the other. */
  async #rights(): Promise<string> {
    const key = this.#key("rights");
    const denied: string[] = [];
    const may = async (operation: () => Promise<unknown>): Promise<boolean> => {
      try {
        await operation();
        return true;
      } catch (error) {
        if (!isFrondError(error, "BUCKET_DENIED")) throw error;
        denied.push(error.message);
        return false;
      }
    };
    await may(() => this.#bucket.list(this.#prefix, undefined, 1, this.#call));
    // What is not there is told like what may not be read where listing is not allowed, so the rest needs an object.
    if (await may(() => this.#bucket.put(key, Buffer.from("rights"), this.#call))) {
      await may(() => this.#bucket.get(key, undefined, this.#call));
      await may(() => this.#bucket.delete([key], this.#call));
    }
    if (denied.length > 0) throw new FrondError("BUCKET_DENIED", denied.join("\n"));
    return "every operation is allowed";
  }

  async #create(claimants: number, rounds: number): Promise<string> {
    for (let round = 1; round <= rounds; round++) {
      const key = this.#key(`claim-${round}`);
      const ids = Array.from({ length: claimants }, () => Buffer.from(`${randomUUID()} claims ${key}`));
      const claims = await Promise.all(ids.map((bytes) => this.#claim(key, bytes)));
      const winners = ids.filter((_, index) => claims[index] === "created");
      if (winners.length !== 1) {
        const why = winners.length > 1 ? "it ignores If-None-Match" : "none of them did";
        throw this.#refused(`${winners.length} of ${claimants} concurrent creates of one key succeeded: ${why}`);
      }
      const found = await this.#bucket.get(key, undefined, this.#call);
      if (found === undefined || !found.bytes.equals(winners[0] as Buffer)) {
        const what = found === undefined ? "nothing" : "what one of the others wrote";
        throw this.#refused(`one of ${claimants} concurrent creates of a key succeeded, and there is ${what}`);
      }
    }
    return `one winner among ${claimants} concurrent creates${rounds === 1 ? "" : `, ${rounds} times`}`;
  }

  async #claim(key: string, bytes: Buffer): Promise<"created" | "exists"> {
    const stop = new AbortController();
    const { signal: given } = this.#call;
    const onOpen = (attempt: number, failure: unknown): void => {
      if (attempt < ATTEMPTS) return;
      const what = `the outcome of a create in ${this.#bucket.url} stayed unknown for ${ATTEMPTS} attempts`;
      stop.abort(failure ?? new FrondError("BUCKET_FAILED", what));
    };
    const signal = given === undefined ? stop.signal : AbortSignal.any([stop.signal, given]);
    const sleep = (ms: number): Promise<void> => wait(ms);
    const { deadlineMs } = this.#call;
    return (await createUntilKnown(this.#bucket, key, bytes, { sleep, onOpen, signal, deadlineMs })).outcome;
  }

  async #read(): Promise<string> {
    const keys = ["a", "b", "c"].map((name) => this.#key(`read-${name}`));
    for (const key of keys) {
      await this.#bucket.get(key, undefined, this.#call);
      await this.#bucket.put(key, Buffer.from(key), this.#call);
      await this.#expect(key, key, "was not to be read after it was written");
    }
    return "objects are there as soon as they are written";
  }

  async #overwrite(): Promise<string> {
    const key = this.#key("overwritten");
    for (let version = 1; version <= 4; version++) {
      const text = `version ${version} `.repeat(version);
      await this.#bucket.put(key, Buffer.from(text), this.#call);
      await this.#expect(key, text, "was still the old one after it was overwritten");
    }
    return "a read after an overwrite gives the new object";
  }

  async #range(): Promise<string> {
    const key = this.#key("range");
    await this.#bucket.put(key, Buffer.from("0123456789"), this.#call);
    const asked = [
      [{ from: 3, bytes: 4 }, "3456"],
      [{ from: 8, bytes: 100 }, "89"],
      [{ last: 3 }, "789"],
      [{ from: 10, bytes: 5 }, ""],
    ] as const;
    for (const [range, expected] of asked) {
      const found = await this.#bucket.get(key, range, this.#call);
      const given = `${found?.bytes.toString()} of ${found?.size} bytes`;
      if (given === `${expected} of 10 bytes`) continue;
      throw this.#refused(`the range ${JSON.stringify(range)} of "0123456789" was answered "${given}"`);
    }
    return "ranges are cut where they should be";
  }

  async #list(): Promise<string> {
    const names = ["list/0", "list/a-b", "list/a/b", "list/a/c", "list/a0", "list/b"];
    const keys = names.map((name) => this.#key(name));
    for (const key of keys.toReversed()) await this.#bucket.put(key, Buffer.from("listed"), this.#call);
    for (let behind = 0; behind <= keys.length; behind++) {
      const after = behind === 0 ? undefined : keys[behind - 1];
      const listed = await this.#bucket.list(`${this.#prefix}list/`, after, undefined, this.#call);
      const given = listed.map(({ key }) => key.slice(this.#prefix.length)).join(", ");
      if (given === names.slice(behind).join(", ")) continue;
      const asked = `behind ${names[behind - 1] ?? "nothing"}, of ${names.join(", ")}`;
      throw this.#refused(`a list ${asked}, gave ${given === "" ? "nothing" : given}`);
    }
    return "lists are complete, in order, and begin where they are told to";
  }

  async #delete(): Promise<string> {
    const keys = [...this.#keys];
    await this.#bucket.delete(keys, this.#call);
    await this.#bucket.delete(keys.slice(0, 1), this.#call);
    const left = await this.#bucket.list(this.#prefix, undefined, undefined, this.#call);
    const found = await this.#bucket.get(keys[0] as string, undefined, this.#call);
    if (left.length > 0 || found !== undefined) {
      throw this.#refused(
        `${Math.max(left.length, 1)} of ${keys.length} objects were still there after their deletion`,
      );
    }
    this.#keys.clear();
    return `${keys.length} objects are gone`;
  }

  async #expect(key: string, text: string, what: string): Promise<void> {
    const found = await this.#bucket.get(key, undefined, this.#call);
    if (found?.bytes.toString() !== text) throw this.#refused(`an object ${what}`);
  }

  #key(name: string): string {
    const key = this.#prefix + name;
    this.#keys.add(key);
    return key;
  }

  #refused(what: string): FrondError {
    const needs = "frond needs a store with strongly consistent reads and lists in which exactly one create succeeds";
    return new FrondError("BUCKET_REFUSED", `${this.#bucket.url} cannot be used as a bucket: ${what}; ${needs}`);
  }
}
