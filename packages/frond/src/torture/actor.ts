// Actors: cells that run scripts and tell what came of them.
//
// Rule: a report names a token only where the promises of the runtime make it true by the time that the report can be
// heard: not before the unit has ended well, and never what was taken back. So the actor needs no knowledge of commits, and
// a token that is named and missing is the runtime's fault.

import { Cell, type CellClass } from "../cell/cell.ts";
import type { Durability } from "../types.ts";
import type { Get, Stub } from "../cell/stub.ts";
import type { ActorRow, ActorShown, Op, Pause, Play, Report } from "./script.ts";

/** Tokens that a field keeps. Count. */
const KEPT = 12;
/** How long a script waits for a bell that nobody rings, in ms. */
const BELL_MS = 3;
/** Longest pause by timer, in ms. */
const TIMER_MS = 2;

/** What a script throws on purpose, and what arrives of it: with a report. */
export class ScriptError extends Error {
  readonly report: Report;
  constructor(message: string, report: Report) {
    super(message);
    this.name = "ScriptError";
    this.report = report;
  }
}

/** What a running script has heard. */
class Heard implements Report {
  seen: string[];
  readonly erased: string[] = [];
  readonly wrong: string[] = [];
  /** What a call may be told of: in a long transaction, what was heard before it. */
  readonly tellable: readonly string[] | undefined;

  constructor(seen: readonly string[], tellable?: readonly string[]) {
    this.seen = [...seen];
    this.tellable = tellable;
  }

  take(report: Report): void {
    this.seen.push(...report.seen);
    this.erased.push(...report.erased);
    this.wrong.push(...report.wrong);
  }

  /** A plain object, for structured clones. `undone`: tokens that are not told. */
  tell(undone: readonly string[] = []): Report {
    const seen = [...new Set(this.seen)].filter((token) => !undone.includes(token));
    return { seen, erased: [...new Set(this.erased)], wrong: this.wrong };
  }

  /** What a call that is made now is told of. */
  toldCalls(): string[] {
    return (this.tellable ?? this.seen).slice(-1);
  }
}

/** Tokens that the instructions write themselves. */
function written(ops: readonly Op[]): string[] {
  return ops.flatMap((op) => ("token" in op ? [op.token] : "ops" in op ? written(op.ops) : []));
}

class Actor extends Cell {
  static override readonly migrations = [
    `CREATE TABLE tally (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;
     INSERT INTO tally VALUES (1, 0);
     CREATE TABLE journal (
       seq INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, unit TEXT NOT NULL, size INTEGER NOT NULL,
       cause TEXT, via TEXT NOT NULL
     ) STRICT`,
  ];
  #known: string[] = [];
  #bell = Promise.withResolvers<void>();
  /** Scripts that began in this instance. Count. */
  #begun = 0;

  /** A sync verb. */
  act(ops: readonly Op[], knows: readonly string[]): Report {
    this.#begun += 1;
    // What a verb that deletes its cell has written goes with it: nobody is told.
    const erases = ops.some((op) => op.op === "erase");
    const heard = new Heard(knows, erases ? knows : undefined);
    // Fields are not rolled back, so nothing is put there before the verb is sure to end well.
    const later = ops.some((op) => op.op === "keep");
    try {
      for (const op of ops) if (op.op !== "keep") this.#sync(op, heard);
    } catch (error) {
      throw this.#thrown(error, heard, written(ops));
    }
    const report = heard.tell(erases ? written(ops) : []);
    if (later) this.#keep(report);
    return report;
  }

  /** An async verb. */
  async play(ops: readonly Op[], knows: readonly string[]): Promise<Report> {
    this.#begun += 1;
    const heard = new Heard(knows);
    try {
      await this.#run(ops, heard);
    } catch (error) {
      throw this.#thrown(error, heard, []);
    }
    return heard.tell();
  }

  /** Runs a script instruction by instruction, as somebody reads the lines that tell of them. */
  override async fetch(request: Request): Promise<Response> {
    this.#begun += 1;
    const { ops, knows } = (await request.json()) as { ops: readonly Op[]; knows: readonly string[] };
    const heard = new Heard(knows);
    const steps = ops.values();
    const line = (report: object): Uint8Array => Buffer.from(`${JSON.stringify(report)}\n`);
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const step = steps.next();
        if (step.done === true) return controller.close();
        try {
          await this.#one(step.value, heard);
          controller.enqueue(line(heard.tell()));
        } catch (error) {
          controller.error(error);
        }
      },
    });
    return new Response(body);
  }

  show(): ActorShown {
    const rows = this.sql.all<ActorRow>`SELECT * FROM journal ORDER BY seq`;
    const check = this.sql.all<{ integrity_check: string }>`PRAGMA integrity_check`.map((row) => row.integrity_check);
    return {
      cell: String(this.ctx.id),
      rows,
      tally: this.sql.one<{ n: number }>`SELECT n FROM tally`.n,
      last: this.ctx.storage.kv.get("last"),
      bumps: this.ctx.storage.kv.get("bumps") ?? 0,
      wrong: check.filter((text) => text !== "ok"),
    };
  }

  async #run(ops: readonly Op[], heard: Heard): Promise<void> {
    for (const op of ops) {
      const over = this.#next(op, heard);
      if (over !== undefined) await over;
    }
  }

  // Only what has to be awaited is: between the others no turn passes, so they are one stretch.
  #next(op: Op, heard: Heard): Promise<void> | undefined {
    switch (op.op) {
      case "pause":
      case "durable":
      case "long":
      case "block":
      case "bump":
        return this.#one(op, heard);
      case "call":
        return op.how === "fire" ? this.#sync(op, heard) : this.#call(op, heard);
      case "erase":
        return this.#erase(op.id, heard);
      default:
        return this.#sync(op, heard);
    }
  }

  async #one(op: Op, heard: Heard): Promise<void> {
    switch (op.op) {
      case "pause":
        return this.#pause(op.how);
      case "durable":
        return this.durable();
      case "long":
        return this.#long(op, heard);
      case "block":
        return this.#block(op, heard);
      case "bump":
        return this.#bump(op, heard);
      default:
        return this.#next(op, heard);
    }
  }

  #sync(op: Op, heard: Heard): undefined {
    switch (op.op) {
      case "write":
        this.#row(op.token, op.unit, op.kv === true ? "kv" : "sql", heard);
        if (op.kv === true) this.ctx.storage.kv.put("last", op.token);
        return;
      case "read":
        heard.seen.push(...this.#newest());
        return;
      case "keep":
        return this.#keep(heard);
      case "tell":
        heard.seen.push(...this.#known);
        return;
      case "ring":
        this.#bell.resolve();
        this.#bell = Promise.withResolvers();
        return;
      case "part":
        return this.#part(op.ops, op.throws, heard);
      case "call":
        void this.#send(op.play, heard.toldCalls()).catch(() => {});
        return;
      case "later":
        this.ctx.waitUntil(this.#run(op.ops, new Heard(heard.seen)));
        return;
      case "erase":
        void this.ctx.storage.deleteAll();
        heard.erased.push(op.id);
        return;
      case "break":
        this.sql`INSERT OR ROLLBACK INTO tally VALUES (1, 0)`;
        return;
      case "abort":
        return this.ctx.abort();
      case "throw":
        throw new ScriptError("thrown by the script", heard.tell());
      default:
        throw new TypeError(`${op.op} stands in async scripts only`);
    }
  }

  #row(token: string, unit: { id: string; size: number }, via: string, heard: Heard): void {
    const seq = this.sql.one<{ n: number }>`UPDATE tally SET n = n + 1 RETURNING n`.n;
    const cause = heard.seen.at(-1) ?? null;
    this.sql`INSERT INTO journal VALUES (${seq}, ${token}, ${unit.id}, ${unit.size}, ${cause}, ${via})`;
    heard.seen.push(token);
  }

  #newest(): string[] {
    const rows = this.sql.all<{ token: string }>`SELECT token FROM journal ORDER BY seq DESC LIMIT 3`;
    return rows.map((row) => row.token);
  }

  #keep(heard: Report): undefined {
    this.#known = heard.seen.slice(-KEPT);
  }

  #part(ops: readonly Op[], throws: boolean, heard: Heard): undefined {
    const inside = new Heard(heard.seen, heard.tellable);
    try {
      this.transaction(() => {
        for (const op of ops) this.#sync(op, inside);
        if (throws) throw new ScriptError("the part throws", inside.tell());
      });
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
    }
    const own = throws ? new Set(written(ops)) : undefined;
    heard.seen = inside.seen.filter((token) => own?.has(token) !== true);
    heard.erased.push(...inside.erased);
  }

  async #long({ ops, end }: Extract<Op, { op: "long" }>, heard: Heard): Promise<void> {
    const inside = new Heard(heard.seen, heard.seen);
    const own = new Set(written(ops));
    const others = (): number =>
      this.sql.all<{ token: string }>`SELECT token FROM journal`.filter((row) => !own.has(row.token)).length;
    try {
      await this.ctx.storage.transaction(async (transaction) => {
        const [begun, rows] = [this.#begun, others()];
        await this.#run(ops, inside);
        if (this.#begun !== begun) inside.wrong.push(`${this.ctx.id}: a script began in a storage.transaction`);
        if (others() !== rows) inside.wrong.push(`${this.ctx.id}: others wrote in a storage.transaction`);
        if (end === "throw") throw new ScriptError("the transaction throws", inside.tell());
        if (end === "rollback") transaction.rollback();
      });
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
    }
    heard.seen = end === "commit" ? inside.seen : inside.seen.filter((token) => !own.has(token));
    heard.wrong.push(...inside.wrong);
    heard.erased.push(...inside.erased);
  }

  async #block({ ops, throws }: Extract<Op, { op: "block" }>, heard: Heard): Promise<void> {
    await this.ctx.blockConcurrencyWhile(async () => {
      const begun = this.#begun;
      await this.#run(ops, heard);
      if (this.#begun !== begun) heard.wrong.push(`${this.ctx.id}: a script began in blockConcurrencyWhile`);
      if (throws) throw new ScriptError("the block throws", heard.tell());
    });
  }

  async #bump(op: Extract<Op, { op: "bump" }>, heard: Heard): Promise<void> {
    const before = (await this.ctx.storage.get<number>("bumps")) ?? 0;
    await this.#pause("turn");
    await this.ctx.storage.put("bumps", before + 1);
    this.#row(op.token, op.unit, "bump", heard);
  }

  async #erase(id: string, heard: Heard): Promise<void> {
    await this.ctx.storage.deleteAll();
    heard.erased.push(id);
  }

  #send(play: Play, knows: readonly string[]): Promise<Report> {
    const peer = this.get(ACTORS[play.kind] as CellClass<Actor>, play.name);
    return play.sync ? peer.act(play.ops, knows) : peer.play(play.ops, knows);
  }

  async #call(op: Extract<Op, { op: "call" }>, heard: Heard): Promise<void> {
    try {
      if (op.how === "stream") await this.#stream(op.play, heard);
      else heard.take(await this.#send(op.play, heard.toldCalls()));
    } catch (error) {
      const { report, code } = error as { report?: Report; code?: unknown };
      if (report !== undefined) heard.take(report);
      if (!op.caught) throw new ScriptError(`a call failed: ${String(code)}`, heard.tell());
    }
  }

  /** Reads the lines of another actor; each is heard as it comes, also when the rest never does. */
  async #stream(play: Play, heard: Heard): Promise<void> {
    const peer = this.get(ACTORS[play.kind] as CellClass<Actor>, play.name);
    const response = await peer.fetch(scriptRequest(play, heard.toldCalls()));
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      heard.take(JSON.parse(Buffer.from(chunk).toString()) as Report);
    }
  }

  #pause(how: Pause): Promise<void> {
    if (how === "micro") return Promise.resolve();
    if (how === "turn") return new Promise((resolve) => setImmediate(resolve));
    if (how === "timer") return new Promise((resolve) => setTimeout(resolve, Math.random() * TIMER_MS));
    return Promise.race([this.#bell.promise, new Promise<void>((resolve) => setTimeout(resolve, BELL_MS))]);
  }

  /** What the verb throws: failures of the runtime as they are, for what they have undone is not known here. */
  #thrown(error: unknown, heard: Heard, undone: readonly string[]): unknown {
    if (!(error instanceof ScriptError)) return error;
    return new ScriptError(error.message, heard.tell(undone));
  }
}

class DiskActor extends Actor {
  static override readonly durability = "disk";
}
class MemoryActor extends Actor {
  static override readonly durability = "memory";
}
class WideActor extends Actor {
  static override readonly pageSize = 4096;
}
class MortalActor extends Actor {}

/** The classes of actors by kind, and what each promises. Only mortal ones are deleted. */
export const ACTORS: Readonly<Record<string, CellClass<Actor>>> = {
  actor: DiskActor,
  shade: MemoryActor,
  giant: WideActor,
  mortal: MortalActor,
};
export const ACTOR_LEVELS: Readonly<Record<string, Durability>> = {
  actor: "disk",
  shade: "memory",
  giant: "disk",
  mortal: "disk",
};

/** A stub of an actor. */
export function actorOf(get: Get, kind: string, name: string): Stub<Actor> {
  return get(ACTORS[kind] as CellClass<Actor>, name);
}

/** The request that makes an actor run a script line by line. */
export function scriptRequest(play: Play, knows: readonly string[]): Request {
  return new Request("http://actor/", { method: "POST", body: JSON.stringify({ ops: play.ops, knows }) });
}
