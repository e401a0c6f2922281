// Scripts: small programs of a fixed instruction set, which actors run and clients draw at random.
//
// Rule: a script says beforehand what can be known of it: each write has a token that is used once, and names the unit (a
// sync verb, a stretch, a transaction) that it commits with. What came of it is said by reports, which name tokens.
// Why programs and not more verbs: what two features do to each other is found by combinations that nobody thought of.

/** One instruction. Those marked async stand in async scripts only. */
export type Op =
  /** Appends a row; `kv` writes a key with it. */
  | { readonly op: "write"; readonly token: string; readonly unit: Unit; readonly kv?: boolean }
  /** Reads the newest rows. */
  | { readonly op: "read" }
  /** Puts what was heard so far into a field, or tells what is there. */
  | { readonly op: "keep" | "tell" }
  /** Async: lets others run. `bell` waits for a `ring` of any script of the cell. */
  | { readonly op: "pause"; readonly how: Pause }
  | { readonly op: "ring" }
  /** Async: waits for the disk. */
  | { readonly op: "durable" }
  /** `this.transaction`; when it throws, that is caught. */
  | { readonly op: "part"; readonly ops: readonly Op[]; readonly throws: boolean }
  /** Async: `storage.transaction`; what it throws is caught. */
  | { readonly op: "long"; readonly ops: readonly Op[]; readonly end: "commit" | "throw" | "rollback" }
  /** Async: `blockConcurrencyWhile`. */
  | { readonly op: "block"; readonly ops: readonly Op[]; readonly throws: boolean }
  /** Async, in `long`: reads a number by `storage.get`, lets others run, writes the next one, and appends a row. */
  | { readonly op: "bump"; readonly token: string; readonly unit: Unit }
  /** Calls another actor, or this one. `fire`: the answer is not waited for. */
  | { readonly op: "call"; readonly how: "fire" | "wait" | "stream"; readonly caught: boolean; readonly play: Play }
  /** Async: work that the answer does not wait for. */
  | { readonly op: "later"; readonly ops: readonly Op[] }
  /** Deletes the cell; `id` is used once. */
  | { readonly op: "erase"; readonly id: string }
  /** End the script: by a throw, by a statement that rolls its transaction back, by `ctx.abort`. */
  | { readonly op: "throw" | "break" | "abort" };

export type Pause = "micro" | "turn" | "timer" | "bell";

/** What commits together: whole or not at all, and as one record. */
export interface Unit {
  readonly id: string;
  /** Rows. Count. */
  size: number;
}

/** A script and the actor that is to run it. */
export interface Play {
  readonly kind: string;
  readonly name: string;
  readonly sync: boolean;
  readonly ops: readonly Op[];
}

/** What an answer tells, an error like a value: everything that it names is committed. */
export interface Report {
  /** Tokens that the script wrote or heard of, of its own cell and of others, in the order of hearing. */
  readonly seen: readonly string[];
  /** Deletions that were carried out, by id. */
  readonly erased: readonly string[];
  /** What the script itself saw go wrong, in sentences. */
  readonly wrong: readonly string[];
}

/** One row of an actor. */
export interface ActorRow {
  readonly seq: number;
  readonly token: string;
  readonly unit: string;
  readonly size: number;
  /** What its script had heard of last, of any cell. */
  readonly cause: string | null;
  readonly via: "sql" | "kv" | "bump";
}

/** Everything that an actor shows. */
export interface ActorShown {
  readonly cell: string;
  readonly rows: readonly ActorRow[];
  /** Counts the rows, raised with each. */
  readonly tally: number;
  /** The token that the last `kv` row wrote under a key, and the number that the bumps have reached. */
  readonly last: string | undefined;
  readonly bumps: number;
  /** SQLite's integrity check, in sentences. */
  readonly wrong: readonly string[];
}

/** The address of the cell that a token stands in. */
export function cellOf(token: string): string {
  return token.slice(0, token.indexOf("#"));
}
