// Draws scripts at random, and says of each what must never come of it.
//
// Rule: everything here follows from the rules of docs/SEMANTICS.md and not from what the runtime does: which writes make a
// unit, and which are always taken back. A script calls only where nobody can wait for himself for ever: out of a scope that
// has its cell for itself, to actors further down the list, or back to that very cell, which is refused.

import type { Random } from "./random.ts";
import type { Op, Pause, Play, Unit } from "./script.ts";

/** One actor of the cast. */
export interface ActorName {
  readonly kind: string;
  readonly name: string;
}

/** A script as it is sent. */
export interface Drawn {
  readonly play: Play;
  /** The lines are to be heard one by one. */
  readonly streams: boolean;
  /** Every token of the script, and of the scripts that it calls. */
  readonly tokens: readonly string[];
  /** Those of them that are always taken back. */
  readonly never: readonly string[];
  /** Those that its value names, when it is answered with one. */
  readonly named: readonly string[];
  /** Deletions: the id, and the address that may be deleted. */
  readonly erases: readonly { readonly id: string; readonly cell: string }[];
}

const SHAPES = { script: 65, relay: 25, streams: 10 };
const SYNC = { write: 34, kv: 10, part: 16, read: 12, fire: 12, keep: 5, tell: 6, ring: 3 };
const ASYNC = { ...SYNC, pause: 30, durable: 3, long: 8, block: 5, wait: 16, stream: 4, later: 4, erase: 4 };
const IN_STREAM = { write: 20, kv: 5, read: 6, pause: 8, tell: 4, wait: 8, keep: 3, long: 3 };
const IN_LONG = { write: 20, kv: 8, part: 12, read: 8, pause: 16, bump: 16, wait: 8, back: 3 };
const IN_BLOCK = { write: 20, kv: 6, part: 8, read: 8, pause: 20, wait: 8, back: 3 };
const IN_PART = { write: 40, kv: 8, read: 10, fire: 8, part: 8 };
const ENDS = { none: 70, throw: 16, break: 5, abort: 3, block: 3 };
const SYNC_ENDS = { none: 66, throw: 26, break: 4, erase: 4 };
const PAUSES: readonly Pause[] = ["micro", "turn", "timer", "bell", "bell"];

/** Actors at the end of the cast to whom nothing is written: what they tell is only heard. Count. */
const WITNESSES = 2;
/** How deep scripts call scripts. */
const DEPTH = 2;

type Word = keyof typeof ASYNC | keyof typeof IN_LONG;

/** Where in a script an instruction stands. */
interface Place {
  readonly actor: number;
  readonly depth: number;
  /** Calls go to actors behind this one only; -1: to any. */
  readonly floor: number;
  readonly sync: boolean;
  /** Everything stands in one unit, whatever is awaited. */
  readonly whole: boolean;
  /** In a storage.transaction: calls leave at once. */
  readonly long: boolean;
  /** What is open and takes the next write. */
  unit: Unit | undefined;
}

/** See the head of the file. One per round. */
export class Playwright {
  readonly #cast: readonly ActorName[];
  readonly #writers: number;
  readonly #label: string;
  #serial = 0;
  #tokens: string[] = [];
  #never: string[] = [];
  #named: string[] = [];
  #erases: { id: string; cell: string }[] = [];

  /** `label` stands in every token: different in every round. */
  constructor(cast: readonly ActorName[], label: string) {
    this.#cast = cast;
    this.#writers = cast.length - WITNESSES;
    this.#label = label;
  }

  draw(random: Random): Drawn {
    this.#tokens = [];
    this.#never = [];
    this.#named = [];
    this.#erases = [];
    // A few are hot: several scripts work on them at once.
    const actor = Math.floor(random.next() ** 2 * this.#writers);
    const shape = random.weighted(SHAPES);
    const play =
      shape === "streams"
        ? this.#stream(random, actor)
        : shape === "relay"
          ? this.#relay(random)
          : this.#play(random, actor, DEPTH, -1);
    const never = new Set(this.#never);
    const named = play.ops.length === 0 ? [] : this.#named.filter((token) => !never.has(token));
    return { play, streams: shape === "streams", tokens: this.#tokens, never: [...never], named, erases: this.#erases };
  }

  #play(random: Random, actor: number, depth: number, floor: number): Play {
    const { kind, name } = this.#cast[actor] as ActorName;
    const sync = random.chance(0.4);
    const place: Place = { actor, depth, floor, sync, whole: sync, long: false, unit: undefined };
    if (sync) place.unit = this.#unit();
    const from = this.#tokens.length;
    const ops = this.#ops(random, place, sync ? SYNC : ASYNC, random.between(1, sync ? 4 : 6));
    this.#end(random, place, ops, from);
    if (depth === DEPTH) this.#named = tokensIn(ops);
    return { kind, name, sync, ops };
  }

  /** Writes nothing itself, mostly in an actor that never does: what it tells are the commits of others. */
  #relay(random: Random): Play {
    const actor = random.between(random.chance(0.75) ? this.#writers : 0, this.#cast.length - 1);
    const { kind, name } = this.#cast[actor] as ActorName;
    const place: Place = { actor, depth: 1, floor: -1, sync: false, whole: false, long: false, unit: undefined };
    const ops: Op[] = [];
    if (random.chance(0.7)) this.#add(random, place, "wait", ops);
    ops.push({ op: random.pick(["tell", "keep", "read"]) });
    if (random.chance(0.3)) ops.push({ op: "throw" });
    return { kind, name, sync: false, ops };
  }

  #stream(random: Random, actor: number): Play {
    const { kind, name } = this.#cast[actor] as ActorName;
    const place: Place = { actor, depth: DEPTH, floor: -1, sync: false, whole: false, long: false, unit: undefined };
    const ops: Op[] = [];
    for (let n = random.between(2, 6); n > 0; n--) {
      // Each instruction is a turn of its own.
      place.unit = undefined;
      this.#add(random, place, random.weighted(IN_STREAM), ops);
    }
    return { kind, name, sync: false, ops };
  }

  #end(random: Random, place: Place, ops: Op[], from: number): void {
    const { actor, sync } = place;
    let end = sync ? random.weighted(SYNC_ENDS) : random.weighted(ENDS);
    // The instance lives on, with what the stretch has put into its fields: that is the app's own fault.
    if (end === "break" && !sync && ops.some((op) => op.op === "keep")) end = "throw";
    if (end === "erase" || end === "throw") {
      if (end === "erase" && !this.#erase(actor, ops)) return;
      if (end === "throw") ops.push({ op: "throw" });
      // The own writes; and a call leaves only if there is a commit for it to leave with.
      if (sync) this.#never.push(...(end === "throw" ? this.#tokens.slice(from) : tokensIn(ops)));
    } else if (end === "break" || end === "abort") {
      const unit = place.unit;
      ops.push({ op: end });
      if (sync) this.#never.push(...this.#tokens.slice(from));
      else if (unit !== undefined) this.#never.push(...tokensIn(ops, unit));
    } else if (end === "block") {
      if (place.depth === DEPTH) ops.push({ op: "block", ops: this.#scope(random, place, 2), throws: true });
    } else if (sync) this.#add(random, place, "write", ops);
  }

  #ops(random: Random, place: Place, words: Partial<Record<Word, number>>, count: number): Op[] {
    const ops: Op[] = [];
    for (let n = count; n > 0; n--) {
      this.#add(random, place, random.weighted(words as Record<Word, number>), ops);
    }
    return ops;
  }

  #add(random: Random, place: Place, word: Word, ops: Op[]): void {
    switch (word) {
      case "write":
      case "kv":
        return void ops.push(this.#write(place, word === "kv"));
      case "bump": {
        const { token, unit } = this.#write(place, false);
        return void ops.push({ op: "bump", token, unit });
      }
      case "pause":
        if (!place.whole) place.unit = undefined;
        return void ops.push({ op: "pause", how: random.pick(PAUSES) });
      case "durable":
        place.unit = undefined;
        return void ops.push({ op: "durable" });
      case "read":
      case "keep":
      case "tell":
      case "ring":
        return void ops.push({ op: word });
      case "part":
        return this.#part(random, place, ops);
      case "long":
        return this.#long(random, place, ops);
      case "block":
        place.unit = undefined;
        ops.push({ op: "block", ops: this.#scope(random, place, 4), throws: false });
        return;
      case "later":
        return void ops.push({ op: "later", ops: this.#later(random, place) });
      case "erase":
        if (this.#erase(place.actor, ops)) place.unit = undefined;
        return;
      default:
        return this.#call(random, place, word, ops);
    }
  }

  #write(place: Place, kv: boolean): Extract<Op, { op: "write" }> {
    const { kind, name } = this.#cast[place.actor] as ActorName;
    const token = `${kind}/${name}#${this.#label}-${++this.#serial}`;
    this.#tokens.push(token);
    const unit = (place.unit ??= this.#unit());
    unit.size += 1;
    return { op: "write", token, unit, ...(kv && { kv }) };
  }

  #unit(): Unit {
    return { id: `${this.#label}-${++this.#serial}`, size: 0 };
  }

  /** In a stretch that has not written it is a unit of its own. One that throws leaves its transaction open for a write. */
  #part(random: Random, place: Place, ops: Op[]): void {
    const throws = random.chance(0.5);
    const alone = place.unit === undefined && !throws;
    const from = this.#tokens.length;
    // Of a part that is taken back nothing counts.
    const inside: Place = { ...place, sync: true, whole: true, unit: throws || alone ? this.#unit() : place.unit };
    const part = this.#ops(random, inside, IN_PART, random.between(1, 3));
    if (!throws) part.push(this.#write(inside, false));
    ops.push({ op: "part", ops: part, throws });
    if (!throws) return;
    this.#never.push(...(place.long ? tokensIn(part) : this.#tokens.slice(from)));
    ops.push(this.#write(place, false));
  }

  #long(random: Random, place: Place, ops: Op[]): void {
    const end = random.pick(["commit", "throw", "rollback"] as const);
    const inside: Place = {
      ...place,
      floor: Math.max(place.floor, place.actor),
      whole: true,
      long: true,
      unit: this.#unit(),
    };
    const long = this.#ops(random, inside, IN_LONG, random.between(1, 4));
    if (end === "commit") long.push(this.#write(inside, false));
    else this.#never.push(...tokensIn(long));
    place.unit = undefined;
    ops.push({ op: "long", ops: long, end });
  }

  #scope(random: Random, place: Place, most: number): Op[] {
    const inside: Place = { ...place, floor: Math.max(place.floor, place.actor), unit: undefined };
    return this.#ops(random, inside, IN_BLOCK, random.between(1, most));
  }

  #later(random: Random, place: Place): Op[] {
    const inside: Place = { ...place, unit: undefined };
    const ops: Op[] = [{ op: "pause", how: random.pick(["turn", "timer"]) }, this.#write(inside, false)];
    return ops;
  }

  #erase(actor: number, ops: Op[]): boolean {
    const { kind, name } = this.#cast[actor] as ActorName;
    if (kind !== "mortal") return false;
    const id = `${this.#label}-${++this.#serial}`;
    this.#erases.push({ id, cell: `${kind}/${name}` });
    ops.push({ op: "erase", id });
    return true;
  }

  #call(random: Random, place: Place, word: Word, ops: Op[]): void {
    const { floor, depth, actor } = place;
    const last = this.#writers - 1;
    if (depth === 0 || (word !== "back" && floor >= last)) return void ops.push(this.#write(place, false));
    const how = word === "fire" || word === "stream" ? word : "wait";
    const self = word === "back" || (floor < 0 && actor < this.#writers && random.chance(0.3));
    const to = self ? actor : random.between(floor + 1, last);
    if (how !== "fire" && !place.whole) place.unit = undefined;
    const from = this.#tokens.length;
    const play = how === "stream" ? this.#lines(random, to) : this.#play(random, to, depth - 1, floor);
    // The gate is held by who calls: it is refused before anything of it happens.
    if (word === "back") this.#never.push(...this.#tokens.slice(from));
    ops.push({ op: "call", how, caught: floor >= 0 || random.chance(0.6), play });
  }

  #lines(random: Random, actor: number): Play {
    const { kind, name } = this.#cast[actor] as ActorName;
    const ops: Op[] = [];
    for (let n = random.between(1, 3); n > 0; n--) {
      ops.push(
        this.#write({ actor, depth: 0, floor: -1, sync: false, whole: false, long: false, unit: undefined }, false),
      );
    }
    return { kind, name, sync: false, ops };
  }
}

/** The tokens that the instructions write themselves; only those of a unit, if one is given. */
function tokensIn(ops: readonly Op[], unit?: Unit): string[] {
  return ops.flatMap((op) => {
    if ("unit" in op) return unit === undefined || op.unit === unit ? [op.token] : [];
    if (op.op === "later") return [];
    return "ops" in op ? tokensIn(op.ops, unit) : [];
  });
}
