// Stubs: typed handles on cells.
//
// Rule: a stub has exactly the verbs of its class, each returning a promise, and nothing else; what is not a verb says so
// when it is called. A stub is cheap (one small object; the verbs live on a prototype made once per class), holds no
// resources, and names a cell whether or not it exists.

import { checkName } from "../address.ts";
import { FrondError } from "../errors.ts";
import { MAX_KIND_LENGTH } from "../limits.ts";
import { nearest } from "../nearest.ts";
import type { App, CellKind } from "./app.ts";
import type { Cell, CellClass } from "./cell.ts";
import type { Durability } from "../types.ts";
import type { Caller } from "./invocation.ts";
import { isLevel, LEVELS } from "./watermarks.ts";

type Hook = "alarm" | "webSocketMessage" | "webSocketClose" | "webSocketError";

type VerbNames<T extends Cell> = {
  [K in Exclude<keyof T, keyof Cell | Hook>]: K extends `_${string}`
    ? never
    : T[K] extends (...args: never[]) => unknown
      ? K
      : never;
}[Exclude<keyof T, keyof Cell | Hook>];

/** A typed handle on a cell: its verbs, each returning a promise, and `fetch`. */
export type Stub<T extends Cell> = {
  readonly [K in VerbNames<T>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
} & {
  /** Passes a request to the cell's `fetch`. */
  fetch(request: Request): Promise<Response>;
};

/** How the calls of one stub are made. */
export interface CallOptions {
  /**
   * Raises the level for the answers of these calls, and for their errors: they wait until what the called cell has committed
   * is on the disk, or in the bucket. Never lowers that of its class.
   */
  readonly durability?: Durability;
  /** The longest that an answer is waited for, in ms; then the call fails with OUTCOME_UNKNOWN: it may still happen. */
  readonly timeoutMs?: number;
}

/** Addresses a cell of a class of the app by name. Throws UNKNOWN_KIND, BAD_ADDRESS and BAD_OPTION. */
export type Get = <T extends Cell>(type: CellClass<T>, name: string, options?: CallOptions) => Stub<T>;

/** Carries a call to a cell. Implemented by the node. */
export interface CallPort {
  call(
    caller: Caller,
    kind: CellKind,
    name: string,
    verb: string,
    args: unknown[],
    options?: CallOptions,
  ): Promise<unknown>;
}

/** Makes stubs for the callers of one node. */
export class Stubs {
  readonly #app: App;
  readonly #makers = new Map<CellClass, StubMaker>();

  constructor(app: App, port: CallPort) {
    this.#app = app;
    for (const kind of app.kinds.values()) this.#makers.set(kind.type, stubMaker(kind, port));
  }

  /** A `get` whose calls are made in the name of `caller`. */
  getFor(caller: Caller): Get {
    return <T extends Cell>(type: CellClass<T>, name: string, options?: CallOptions) =>
      this.get(caller, type, name, options);
  }

  get<T extends Cell>(caller: Caller, type: CellClass<T>, name: string, options?: CallOptions): Stub<T> {
    const Made = this.#makers.get(type as CellClass) ?? this.#unknown(type as CellClass);
    checkName(name);
    if (options !== undefined) checkOptions(options);
    return new Made(caller, name, options) as unknown as Stub<T>;
  }

  #unknown(type: CellClass): never {
    this.#app.kindOf(type);
    throw new FrondError("UNKNOWN_KIND", `${type.name} is not among the cells of the app`);
  }
}

function checkOptions(options: CallOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (name === "durability" && (value === undefined || isLevel(value))) continue;
    if (name === "timeoutMs" && (value === undefined || (Number.isFinite(value) && (value as number) > 0))) continue;
    const known = `durability (${LEVELS}) and timeoutMs (a number above 0)`;
    throw new FrondError("BAD_OPTION", `the options of get are ${known}, not ${name}: ${JSON.stringify(value)}`);
  }
}

type StubMaker = new (caller: Caller, name: string, options: CallOptions | undefined) => object;

function stubMaker(kind: CellKind, port: CallPort): StubMaker {
  class CellStub {
    readonly #caller: Caller;
    readonly #name: string;
    readonly #options: CallOptions | undefined;
    constructor(caller: Caller, name: string, options: CallOptions | undefined) {
      this.#caller = caller;
      this.#name = name;
      this.#options = options;
    }
    static call(stub: CellStub, verb: string, args: unknown[]): Promise<unknown> {
      return port.call(stub.#caller, kind, stub.#name, verb, args, stub.#options);
    }
  }
  for (const verb of [...kind.verbs.keys(), "fetch"]) {
    const method = function (this: CellStub, ...args: unknown[]): Promise<unknown> {
      return CellStub.call(this, verb, args);
    };
    Object.defineProperty(CellStub.prototype, verb, { value: method, enumerable: true });
  }
  Object.setPrototypeOf(CellStub.prototype, unknownVerbs(kind));
  return CellStub;
}

// Reached only for names that are no verbs. `then` and `toJSON` stay absent, so that a stub can be awaited and logged.
function unknownVerbs(kind: CellKind): object {
  return new Proxy(Object.prototype, {
    get(target, name, receiver) {
      if (typeof name === "symbol" || name === "then" || name === "toJSON" || name in target)
        return Reflect.get(target, name, receiver);
      return () => Promise.reject(unknownVerb(kind, name));
    },
  });
}

/** UNKNOWN_VERB with the verbs that there are. `inner`: those that a cell may only schedule itself are meant, too. */
export function unknownVerb(kind: CellKind, name: string, inner = false): FrondError {
  const type = kind.type.name;
  if (name === "fetch") {
    return new FrondError("UNKNOWN_VERB", `${type} has no method fetch(request) to answer what is passed on to it`);
  }
  const known = [...kind.verbs.keys(), ...(inner ? kind.inner.keys() : [])];
  // A name can come from anywhere: a long one is no slip of the hand, and would take its time to compare.
  const meant = name.length <= MAX_KIND_LENGTH ? nearest(name, known) : undefined;
  const hint = meant === undefined ? "its verbs are" : `did you mean ${meant}? Its verbs are`;
  return new FrondError(
    "UNKNOWN_VERB",
    `${type} has no verb ${JSON.stringify(name)}; ${hint}: ${known.join(", ") || "none"}`,
  );
}
