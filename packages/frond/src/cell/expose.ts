// What programs outside may call: `expose`, `authorize` and `origins` of an app, checked when it is defined.
//
// Rule: closed by default. A verb is reachable from outside only if it is named here, and each call only if `authorize`
// says true to it. A name that means nothing is an error at once, with the one that was probably meant: a misspelt verb
// must not be found by the first client. Hooks, `fetch` and what is no verb cannot be named.
// Rejected: decorators or a static list on the class (a class does not know who is outside; the app does), a default
// `authorize` (whoever forgets it would have opened every cell to everybody).

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { FrondError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { CellKind } from "./app.ts";
import type { Cell, CellClass } from "./cell.ts";
import type { Get, Stub } from "./stub.ts";

/** Cell classes by kind, as `frond({ cells })` takes them. */
export type Cells = Readonly<Record<string, CellClass>>;

/** A schema of any Standard Schema library for a whole argument list; its output is what the verb is called with. */
export type ArgumentSchema<A extends readonly unknown[]> = StandardSchemaV1<unknown, Readonly<A>>;

/** How one verb is exposed: `true` takes the arguments as they come; a schema checks them, and may change them. */
export type ExposedVerb<F> = F extends (...args: infer A) => unknown
  ? true | { readonly args: ArgumentSchema<A> }
  : never;

type VerbNames<T extends Cell> = Exclude<keyof Stub<T>, "fetch">;
type InstanceOf<C> = C extends CellClass<infer T> ? T : never;

/** Exposed verbs by kind, for the cells `C`. */
export type Exposure<C extends Cells = Cells> = {
  readonly [K in keyof C]?: { readonly [V in VerbNames<InstanceOf<C[K]>>]?: ExposedVerb<InstanceOf<C[K]>[V]> };
};

/** `never` for each kind of `E` that is none of `C`, and for each verb that its class has not. */
export type OnlyKnown<C extends Cells, E> = {
  readonly [K in keyof E]: K extends keyof C
    ? { readonly [V in keyof E[K]]: V extends VerbNames<InstanceOf<C[K]>> ? unknown : never }
    : never;
};

/** What clients may call, by kind and verb: the type that an app carries for `frond/client`. */
export type Exposed<C extends Cells, E> = {
  readonly [K in keyof E & keyof C]: {
    readonly [V in keyof E[K] & keyof InstanceOf<C[K]>]: Remote<InstanceOf<C[K]>[V], E[K][V]>;
  };
};

type Remote<F, How> = F extends (...args: infer A) => infer R
  ? (...args: How extends { readonly args: infer S } ? InputOf<S, A> : A) => Promise<Awaited<R>>
  : never;

// What a client writes is the schema's input; a schema that does not tell (unknown) leaves the verb's own parameters.
type InputOf<S, A extends unknown[]> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<S> extends infer I extends readonly unknown[]
    ? OptionalTail<[...I]>
    : A
  : A;

// Tuples of schemas tell an argument that may be absent as one that may be undefined.
type OptionalTail<T extends unknown[]> = T extends [...infer Head, infer Last]
  ? undefined extends Last
    ? [...OptionalTail<Head>, Last?]
    : T
  : T;

/** A call from outside, as `authorize` is asked about it. */
export interface ExposedCall<K extends string = string, V extends string = string> {
  readonly kind: K;
  readonly name: string;
  readonly verb: V;
  /**
   * The arguments, after their schema. An empty list where the schema refused them: the verb then runs in no case, and
   * the answer decides only whether the client is told what was wrong with them.
   */
  readonly args: readonly unknown[];
}

/** The calls that `E` opens. */
export type CallOf<E> = {
  readonly [K in keyof E & string]: ExposedCall<K, keyof E[K] & string>;
}[keyof E & string];

/** Who calls, for `authorize`. */
export interface CallOrigin {
  /** Headers of the request; on a WebSocket those of its handshake. */
  readonly headers: Headers;
  /** Address of the client, as far as trusted proxies tell. */
  readonly remoteAddress: string;
  /** Addresses a cell: a session may be kept in one. */
  readonly get: Get;
}

/**
 * Says `true` to a call that may be made; everything else refuses it. Asked for every call, on a WebSocket too. What it
 * throws refuses the call as a failure: a {@link PublicError} is told to the client, anything else is not.
 */
export type Authorize<Call = ExposedCall> = (call: Call, origin: CallOrigin) => boolean | Promise<boolean>;

/** An error that a client outside may read: its code and message are told, whatever verb it went through. */
export class PublicError extends Error {
  override readonly name = "PublicError";
  /** What the client matches on. */
  readonly code: string;
  /** The mark itself: it survives the copy that crosses from cell to cell. Any error that bears it is told. */
  readonly expose = true;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The exposure of an app as the server uses it. */
export interface CheckedExposure {
  /** By kind and verb; the value is the schema of the arguments, `true` for none. */
  readonly verbs: ReadonlyMap<string, ReadonlyMap<string, StandardSchemaV1 | true>>;
  readonly authorize: Authorize;
  /** Origins of other sites whose pages may call. */
  readonly origins: ReadonlySet<string>;
}

interface Options {
  readonly expose?: unknown;
  readonly authorize?: unknown;
  readonly origins?: unknown;
}

/** The checked exposure of a definition, undefined when it exposes nothing. Throws BAD_OPTION. */
export function checkExposure(options: Options, kinds: ReadonlyMap<string, CellKind>): CheckedExposure | undefined {
  const { expose, authorize, origins } = options;
  if (expose === undefined) {
    const alone = authorize !== undefined ? "authorize" : origins !== undefined ? "origins" : undefined;
    if (alone !== undefined) throw bad(`${alone} stands without expose: { kind: { verb: true } }`);
    return undefined;
  }
  if (typeof authorize !== "function") {
    throw bad("expose needs authorize: (call, origin) => boolean; without it everybody could call what is exposed");
  }
  const verbs = new Map<string, ReadonlyMap<string, StandardSchemaV1 | true>>();
  for (const [kind, wanted] of entriesOf(expose, "expose")) {
    const known = kinds.get(kind);
    if (known === undefined) throw bad(`expose.${kind} is none of the cells${meant(kind, [...kinds.keys()])}`);
    verbs.set(kind, new Map(entriesOf(wanted, `expose.${kind}`).map(([verb, how]) => [verb, check(known, verb, how)])));
  }
  return { verbs, authorize: authorize as Authorize, origins: checkOrigins(origins) };
}

function check(kind: CellKind, verb: string, how: unknown): StandardSchemaV1 | true {
  const place = `expose.${kind.kind}.${verb}`;
  if (!kind.verbs.has(verb)) {
    throw bad(`${place} is no verb of ${kind.type.name}${meant(verb, [...kind.verbs.keys()])}`);
  }
  if (how === true) return true;
  const [schema, ...rest] = typeof how === "object" && how !== null ? Object.entries(how) : [];
  if (schema?.[0] !== "args" || rest.length > 0) throw bad(`${place} is true or { args: schema }`);
  const standard = (schema[1] as Partial<StandardSchemaV1> | null | undefined)?.["~standard"];
  if (standard?.version !== 1 || typeof standard.validate !== "function") {
    throw bad(`${place}.args is no Standard Schema (of zod, valibot, arktype or another) for the list of arguments`);
  }
  return schema[1] as StandardSchemaV1;
}

function checkOrigins(origins: unknown): ReadonlySet<string> {
  if (origins === undefined) return new Set();
  if (!Array.isArray(origins)) throw bad('origins is a list such as ["https://app.example.com"]');
  for (const origin of origins) {
    if (typeof origin === "string" && ORIGIN.test(origin) && isSerialized(origin)) continue;
    const why = "a scheme, a host and perhaps a port, as browsers send them, such as https://app.example.com";
    throw bad(`origins: ${JSON.stringify(origin)} is not ${why}`);
  }
  return new Set(origins as string[]);
}

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/;

// A browser writes hosts in small letters and leaves the port of the scheme out; another text would never match.
function isSerialized(origin: string): boolean {
  return !origin.startsWith("http") || (URL.canParse(origin) && new URL(origin).origin === origin);
}

function entriesOf(value: unknown, place: string): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(`${place} is no object; write expose: { kind: { verb: true } }`);
  }
  return Object.entries(value).filter(([, part]) => part !== undefined);
}

function meant(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? `; there are: ${known.join(", ") || "none"}` : `; did you mean ${near}?`;
}

function bad(message: string): FrondError {
  return new FrondError("BAD_OPTION", message);
}
