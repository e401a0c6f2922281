// The definition of an app: its cell classes by kind, its front door, its services. Checked once, when it is made.
//
// Rule: everything that can be known wrong about a class is an error here, before the first request: a bad kind, a class
// that is no Cell, a migration that is no text. A class has one kind; the kind is what is stored, so renaming the class
// is free and renaming the kind is not.

import { createHash } from "node:crypto";
import { checkKind } from "../address.ts";
import { FrondError } from "../errors.ts";
import { DEFAULT_PAGE_SIZE } from "../limits.ts";
import { splitStatements } from "../store/split.ts";
import type { Durability } from "../types.ts";
import { Cell, type CellClass } from "./cell.ts";
import {
  type Authorize,
  type CallOf,
  type Cells,
  type CheckedExposure,
  checkExposure,
  type Exposed,
  type ExposedCall,
  type Exposure,
  type OnlyKnown,
} from "./expose.ts";
import type { CellTools } from "./past.ts";
import type { Get } from "./stub.ts";
import { checkLevel } from "./watermarks.ts";

/** What `fetch` of an app gets beside the request. */
export interface FetchContext extends CellTools {
  /** Addresses a cell; what its answers depend on is durable before the response leaves. */
  readonly get: Get;
  /** Address of the client, as far as trusted proxies tell. */
  readonly remoteAddress: string;
}

/** What `start` of an app gets. */
export interface ServiceContext extends CellTools {
  /** Addresses a cell. Each answer resolves only when what it depends on is as durable as its class asks. */
  readonly get: Get;
  readonly log: ServiceLog;
  /** The data directory of the node. */
  readonly dataDirectory: string;
}

/** The log of the node, as services see it. */
export interface ServiceLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Ends a service: called at a graceful stop, before the node flushes. */
export type StopService = () => void | Promise<void>;

/** What `frond()` takes: `C` are its cells by kind, `E` is what it exposes of them. */
export interface AppDefinition<C extends Cells = Cells, E = Exposure, Call = ExposedCall> {
  /** Cell classes by kind. */
  readonly cells: C;
  /** Answers HTTP requests. Stateless: state lives in cells. Without it the node answers 404. */
  readonly fetch?: (request: Request, context: FetchContext) => Response | Promise<Response>;
  /** Runs beside the front door: a mail server, a poller. May return what stops it. */
  readonly start?: (context: ServiceContext) => StopService | void | Promise<StopService | void>;
  /** The verbs that programs outside may call, by kind: `true`, or `{ args: schema }` to have the arguments checked. */
  readonly expose?: E;
  /** Decides about each call from outside. Required with `expose`. */
  readonly authorize?: Authorize<Call>;
  /** Origins of other sites whose pages may call, such as `https://app.example.com`. Default: none but its own. */
  readonly origins?: readonly string[];
}

/** One migration of a class. */
export interface Migration {
  readonly statements: readonly string[];
  readonly checksum: string;
}

/** A cell class as the runtime uses it. */
export interface CellKind {
  readonly kind: string;
  readonly type: CellClass;
  /** Verbs by name: the public methods of the class. */
  readonly verbs: ReadonlyMap<string, Verb>;
  /** Methods whose names begin with `_`: for calls that the cell schedules itself. */
  readonly inner: ReadonlyMap<string, Verb>;
  readonly migrations: readonly Migration[];
  /** Undefined: the level that the node was started with. */
  readonly durability: Durability | undefined;
  readonly pageSize: number;
  /** Only for tools that open cells without their class: the schema is left alone. */
  readonly raw: boolean;
}

export type Verb = (this: Cell, ...args: unknown[]) => unknown;

// Called by the runtime only; `fetch` is reachable as a call with a Request.
const HOOKS = new Set(["constructor", "fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"]);

// Names that stubs and cells cannot give away, and those of what cells are to have: an app that used one would break then.
const RESERVED = new Set(["ctx", "then", "send", "schedule", "unschedule", "schedules", "durable", "files", "accept"]);

const OPTIONS = ["cells", "fetch", "start", "expose", "authorize", "origins"];

/** A checked app: what `frond()` returns and `frond start` runs. `X` is what clients may call, for `frond/client`. */
export class App<X = unknown> {
  /** A type only: nothing is here at run time. */
  declare readonly "~exposed"?: X;
  readonly kinds: ReadonlyMap<string, CellKind>;
  readonly definition: AppDefinition;
  /** What programs outside may call; undefined: nothing. */
  readonly exposure: CheckedExposure | undefined;
  /** Its kinds have no classes: it was made by a tool. */
  readonly raw: boolean;
  readonly #byType: ReadonlyMap<CellClass, CellKind>;

  constructor(definition: AppDefinition, raw = false) {
    const isObject = definition !== null && typeof definition === "object";
    for (const key of isObject ? Object.keys(definition) : []) {
      if (OPTIONS.includes(key)) continue;
      throw new FrondError("BAD_OPTION", `frond() knows ${OPTIONS.join(", ")}, not ${JSON.stringify(key)}`);
    }
    if (!isObject || typeof definition.cells !== "object") {
      throw new FrondError("BAD_OPTION", "frond() takes { cells: { kind: Class }, fetch?, start?, expose? }");
    }
    this.definition = definition;
    this.raw = raw;
    const kinds = Object.entries(definition.cells).map(([kind, type]) => ({ ...describe(kind, type), raw }));
    this.kinds = new Map(kinds.map((kind) => [kind.kind, kind]));
    this.#byType = new Map(kinds.map((kind) => [kind.type, kind]));
    if (this.#byType.size < kinds.length) {
      throw new FrondError("BAD_OPTION", "a class stands under two kinds; derive a class for the second one");
    }
    this.exposure = checkExposure(definition, this.kinds);
  }

  /** An app of kinds without their classes: for tools that read a data directory alone. */
  static withoutClasses(kinds: readonly string[]): App {
    const cells = Object.fromEntries(kinds.map((kind) => [kind, class extends Cell {}]));
    return new App({ cells }, true);
  }

  /** The kind of a class. Throws UNKNOWN_KIND when the class is not in `cells`. */
  kindOf(type: CellClass): CellKind {
    const kind = this.#byType.get(type);
    if (kind === undefined) {
      const name = typeof type === "function" ? type.name || "this class" : String(type);
      throw new FrondError(
        "UNKNOWN_KIND",
        `${name} is not among the cells of the app; add it: frond({ cells: { kind: ${name} } })`,
      );
    }
    return kind;
  }
}

/**
 * Defines an app. Throws BAD_OPTION or BAD_ADDRESS for what is wrong with it.
 *
 * The result is the default export of the file that `frond dev` and `frond start` run.
 */
export function frond<C extends Cells, E extends Exposure<C> = Record<never, never>>(
  definition: AppDefinition<C, E & OnlyKnown<C, E>, CallOf<E>>,
): App<Exposed<C, E>> {
  // What authorize is asked about is narrower here than for an app of any cells; the checks of App make that true.
  return new App(definition as unknown as AppDefinition);
}

function describe(kind: string, type: CellClass): Omit<CellKind, "raw"> {
  checkKind(kind);
  if (typeof type !== "function" || !(type.prototype instanceof Cell)) {
    throw new FrondError("BAD_OPTION", `cells.${kind} is not a class that extends Cell`);
  }
  const { migrations = [], durability, pageSize = DEFAULT_PAGE_SIZE } = type;
  if (!Array.isArray(migrations) || migrations.some((sql) => typeof sql !== "string" || sql.trim() === "")) {
    throw new FrondError("BAD_OPTION", `${type.name}.migrations is not a list of SQL texts`);
  }
  if (durability !== undefined) checkLevel(`${type.name}.durability`, durability);
  if (!Number.isInteger(pageSize) || pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) {
    throw new FrondError("BAD_OPTION", `${type.name}.pageSize is ${pageSize}; it is a power of two from 512 to 65536`);
  }
  return {
    kind,
    type,
    ...verbsOf(type),
    migrations: migrations.map((sql: string) => ({ statements: splitStatements(sql), checksum: checksum(sql) })),
    durability,
    pageSize,
  };
}

function verbsOf(type: CellClass): Pick<CellKind, "verbs" | "inner"> {
  const verbs = new Map<string, Verb>();
  const inner = new Map<string, Verb>();
  const hidden = new Set<string>();
  for (let level: object = type.prototype; level !== Cell.prototype; level = Object.getPrototypeOf(level) as object) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      // What a class redefines hides what it inherits, also with something that is no method.
      if (hidden.has(name)) continue;
      hidden.add(name);
      if (typeof property.value !== "function" || HOOKS.has(name)) continue;
      if (name.startsWith("_")) {
        inner.set(name, property.value as Verb);
        continue;
      }
      if (name in Cell.prototype || RESERVED.has(name)) {
        throw new FrondError(
          "BAD_OPTION",
          `${type.name}.${name} is the name of a member of Cell, or of one to come; give the verb another name`,
        );
      }
      verbs.set(name, property.value as Verb);
    }
  }
  return { verbs, inner };
}

// White space at the ends may change with an editor; the statements may not.
function checksum(sql: string): string {
  return createHash("sha256").update(sql.trim()).digest("hex").slice(0, 32);
}
