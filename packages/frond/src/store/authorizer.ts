// The allow-list of SQL: what the code of a cell may say to its database.
//
// Rule: a statement of the user may read and change the user's own tables and nothing else. The runtime owns the
// transactions, the file (its pages, journal and locks) and every table named `_frond_*`; a statement that would reach
// for them is refused before it runs, with the thing to use instead. TEMP objects are refused because they are not in
// the file: a restored cell would not have them.
//
// Two nets. The tokens give the verb and the names that SQLite's authorizer does not report (VACUUM, the new name in
// ALTER TABLE ... RENAME TO, the body of a view or trigger). The authorizer sees what no text shows: what views and
// triggers touch, and what FTS5 or a stale statement prepares while another one runs. It therefore stays on while a
// statement of the user is executed, and only then: statements of frond, also when SQLite prepares them again by itself
// after a change of the schema, are not judged.
//
// Rejected: an authorizer that is set and unset around each statement (setting it makes SQLite prepare every cached
// statement again); judging frond's own statements too (a re-prepared `_frond_` statement would be refused mid-run).

import { constants } from "node:sqlite";
import { mainVerbIndex } from "./parameters.ts";
import type { Token } from "./tokens.ts";
import { nameOf, tokenize } from "./tokens.ts";

/** Tables, indexes and so on whose names begin like this are frond's own. */
export const OWN_PREFIX = "_frond_";

/** What {@link SqlGuard} found out about one statement. */
export interface Verdict {
  /** It can change the database, or what a transaction checks: it needs an open transaction. Never false for one that does. */
  readonly writes: boolean;
  /** It can change the schema: everything that was resolved from the schema before is stale after it. */
  readonly schema: boolean;
  /** Why it must not run and what to use instead; undefined if it may. */
  readonly denied: string | undefined;
}

/**
 * Verbs of statements that change nothing, whatever the authorizer sees while they are prepared (opening an R*Tree
 * prepares that table's own INSERTs). Of the pragmas some do: see PRAGMAS.
 */
const QUERIES = new Set(["SELECT", "VALUES", "EXPLAIN", "PRAGMA"]);

/** Verbs that are left to the authorizer. */
const VERBS = new Set(
  "SELECT VALUES WITH INSERT REPLACE UPDATE DELETE CREATE DROP ALTER REINDEX ANALYZE PRAGMA EXPLAIN".split(" "),
);

const TRANSACTION =
  "a verb is a transaction already; use this.transaction(() => ...) for a part that must be all or nothing";
const ATTACH = "a cell is one database; use this.get(Class, name) for another cell";
const INSTEAD: Readonly<Record<string, string>> = {
  BEGIN: TRANSACTION,
  COMMIT: TRANSACTION,
  END: TRANSACTION,
  ROLLBACK: `${TRANSACTION}, and throw to undo it`,
  SAVEPOINT: TRANSACTION,
  RELEASE: TRANSACTION,
  ATTACH,
  DETACH: ATTACH,
  VACUUM: "use this.vacuum()",
};

/** Pragmas that only read. `read`: without an argument only, because with one they change something. */
const PRAGMAS: ReadonlyMap<string, "any" | "read" | "writes"> = new Map([
  ["table_info", "any"],
  ["table_xinfo", "any"],
  ["table_list", "any"],
  ["index_list", "any"],
  ["index_info", "any"],
  ["index_xinfo", "any"],
  ["foreign_key_list", "any"],
  ["foreign_key_check", "any"],
  ["integrity_check", "any"],
  ["quick_check", "any"],
  ["function_list", "any"],
  ["module_list", "any"],
  ["pragma_list", "any"],
  ["collation_list", "any"],
  ["compile_options", "any"],
  ["database_list", "any"],
  ["page_count", "read"],
  ["freelist_count", "read"],
  ["page_size", "read"],
  ["encoding", "read"],
  ["data_version", "read"],
  ["schema_version", "read"],
  ["user_version", "read"],
  ["application_id", "read"],
  ["foreign_keys", "read"],
  // Ends with the transaction by itself.
  ["defer_foreign_keys", "writes"],
  // Is ANALYZE where SQLite finds it worth it.
  ["optimize", "writes"],
]);

const MODULES = new Set(["fts5", "fts5vocab", "rtree", "rtree_i32"]);
const FUNCTIONS = new Set(["load_extension", "fts3_tokenizer"]);

/** How the authorizer treats each action: which of its two arguments are names, and what it means. */
interface Action {
  readonly names: "none" | "first" | "second" | "both";
  readonly effect: "none" | "writes" | "schema" | "temp";
}

function action(names: Action["names"], effect: Action["effect"]): Action {
  return { names, effect };
}

const ACTIONS: ReadonlyMap<number, Action> = new Map([
  [constants.SQLITE_SELECT, action("none", "none")],
  [constants.SQLITE_RECURSIVE, action("none", "none")],
  [constants.SQLITE_READ, action("first", "none")],
  [constants.SQLITE_INSERT, action("first", "writes")],
  [constants.SQLITE_UPDATE, action("first", "writes")],
  [constants.SQLITE_DELETE, action("first", "writes")],
  [constants.SQLITE_CREATE_TABLE, action("first", "schema")],
  [constants.SQLITE_CREATE_INDEX, action("both", "schema")],
  [constants.SQLITE_CREATE_TRIGGER, action("both", "schema")],
  [constants.SQLITE_CREATE_VIEW, action("first", "schema")],
  [constants.SQLITE_CREATE_VTABLE, action("first", "schema")],
  [constants.SQLITE_DROP_TABLE, action("first", "schema")],
  [constants.SQLITE_DROP_INDEX, action("both", "schema")],
  [constants.SQLITE_DROP_TRIGGER, action("both", "schema")],
  [constants.SQLITE_DROP_VIEW, action("first", "schema")],
  [constants.SQLITE_DROP_VTABLE, action("first", "schema")],
  [constants.SQLITE_ALTER_TABLE, action("second", "schema")],
  // These rebuild or measure everything there is, frond's tables included, and change no content.
  [constants.SQLITE_REINDEX, action("none", "writes")],
  [constants.SQLITE_ANALYZE, action("none", "writes")],
  [constants.SQLITE_CREATE_TEMP_INDEX, action("none", "temp")],
  [constants.SQLITE_CREATE_TEMP_TABLE, action("none", "temp")],
  [constants.SQLITE_CREATE_TEMP_TRIGGER, action("none", "temp")],
  [constants.SQLITE_CREATE_TEMP_VIEW, action("none", "temp")],
  [constants.SQLITE_DROP_TEMP_INDEX, action("none", "temp")],
  [constants.SQLITE_DROP_TEMP_TABLE, action("none", "temp")],
  [constants.SQLITE_DROP_TEMP_TRIGGER, action("none", "temp")],
  [constants.SQLITE_DROP_TEMP_VIEW, action("none", "temp")],
]);

/**
 * Judges the statements of one database: `db.setAuthorizer(guard.callback)`, once.
 *
 * Around preparing a statement of the user: `beginStatement`, `prepare`, `takeVerdict`. Around executing it: `enter`,
 * then `leave`. Outside of these everything is allowed. Each pair must be closed, also when something throws.
 */
export class SqlGuard {
  #isUser = false;
  #isPreparing = false;
  #isQuery = false;
  #writes = false;
  #schema = false;
  #denied: string | undefined;

  /** For `db.setAuthorizer`. */
  readonly callback = (code: number, first: string | null, second: string | null, database: string | null): number => {
    if (!this.#isUser) return constants.SQLITE_OK;
    const denied = this.#judge(code, first ?? "", second ?? "", database);
    if (denied === undefined) return constants.SQLITE_OK;
    this.#denied ??= denied;
    return constants.SQLITE_DENY;
  };

  /** True unless a statement of the user is being prepared or executed: everything is allowed then. */
  get internal(): boolean {
    return !this.#isUser;
  }

  /** True if the text of the statement begun was enough to refuse it: preparing it is not needed. */
  get isDenied(): boolean {
    return this.#denied !== undefined;
  }

  /** Call before a statement of the user is prepared. `tokens` are those of `sql`. */
  beginStatement(sql: string, tokens: readonly Token[] = tokenize(sql)): void {
    this.#isUser = true;
    this.#isPreparing = true;
    this.#writes = false;
    this.#schema = false;
    this.#isQuery = QUERIES.has(tokens[mainVerbIndex(tokens)]?.upper ?? "");
    this.#denied = this.#judgeTokens(tokens);
  }

  /** Call after it was prepared, or failed to. The verdict is void if preparing failed without `denied`. */
  takeVerdict(): Verdict {
    this.#isUser = false;
    this.#isPreparing = false;
    return { writes: this.#writes, schema: this.#schema, denied: this.#denied };
  }

  /** Call before a statement of the user is executed. */
  enter(): void {
    this.#isUser = true;
    this.#denied = undefined;
  }

  /** Call after it was executed. Returns why something that it did was refused, if anything was. */
  leave(): string | undefined {
    this.#isUser = false;
    return this.#denied;
  }

  /** What the text alone shows. */
  #judgeTokens(tokens: readonly Token[]): string | undefined {
    const verb = tokens[0]?.upper ?? "";
    const instead = INSTEAD[verb];
    if (instead !== undefined) return `${verb} is not for the code of a cell: ${instead}`;
    // What is no verb at all is left to SQLite, whose message is the better one.
    if (!VERBS.has(verb)) return undefined;
    if (verb === "EXPLAIN") return this.#judgeExplain(tokens);
    if (verb !== "CREATE" && verb !== "ALTER") return undefined;
    for (const token of tokens) {
      const name = nameOf(token);
      if (name !== undefined && isOwnName(name)) return ownName(name);
    }
    return undefined;
  }

  #judgeExplain(tokens: readonly Token[]): string | undefined {
    const verb = tokens.slice(1, 4).find((token) => !/^(QUERY|PLAN)$/.test(token.upper))?.upper;
    return verb === "PRAGMA" ? "EXPLAIN PRAGMA would run parts of the pragma: leave out EXPLAIN" : undefined;
  }

  /** What one call of the authorizer asks for: undefined if it may, else why not. */
  #judge(code: number, first: string, second: string, database: string | null): string | undefined {
    const found = ACTIONS.get(code);
    if (found === undefined) return this.#judgeSpecial(code, first, second);
    if (found.effect === "temp") return "TEMP objects are not part of the cell's file: use an ordinary table";
    if (found.effect !== "none" && !this.#isQuery) {
      this.#writes = true;
      this.#schema ||= found.effect === "schema";
    }
    if ((found.names === "first" || found.names === "both") && isOwnName(first)) return ownName(first);
    if ((found.names === "second" || found.names === "both") && isOwnName(second)) return ownName(second);
    if (code === constants.SQLITE_CREATE_VTABLE && !MODULES.has(second.toLowerCase())) {
      return `virtual tables of the module ${second} are not for cells: there are ${[...MODULES].join(", ")}`;
    }
    // ALTER TABLE looks into the temporary schema for views to rename; there are none.
    if (database === "temp" && first !== "sqlite_temp_master") return "the TEMP schema is not part of the cell's file";
    return undefined;
  }

  #judgeSpecial(code: number, first: string, second: string): string | undefined {
    switch (code) {
      case constants.SQLITE_FUNCTION:
        return FUNCTIONS.has(second.toLowerCase()) ? `the function ${second} is not for the code of a cell` : undefined;
      case constants.SQLITE_PRAGMA:
        return this.#judgePragma(first.toLowerCase(), second);
      case constants.SQLITE_TRANSACTION:
      case constants.SQLITE_SAVEPOINT:
        return `transaction words are not for the code of a cell: ${TRANSACTION}`;
      case constants.SQLITE_ATTACH:
      case constants.SQLITE_DETACH:
        return `ATTACH and DETACH are not for the code of a cell: ${ATTACH}`;
      default:
        return `the authorizer's action ${code} is not on the list of what cells may do`;
    }
  }

  #judgePragma(name: string, argument: string): string | undefined {
    const kind = PRAGMAS.get(name);
    if (kind === undefined) {
      return `PRAGMA ${name} is not for the code of a cell: the runtime sets up the database; reading pragmas such as table_info are allowed`;
    }
    if (kind === "read" && argument !== "") return `PRAGMA ${name} can be read but not set by the code of a cell`;
    if (kind !== "writes") return undefined;
    // Inside another statement (as the table pragma_optimize) it would write from a query.
    if (!this.#isPreparing) return `PRAGMA ${name} is a statement of its own, not part of a query`;
    this.#writes = true;
    return undefined;
  }
}

function isOwnName(name: string): boolean {
  return name.length >= OWN_PREFIX.length && name.slice(0, OWN_PREFIX.length).toLowerCase() === OWN_PREFIX;
}

function ownName(name: string): string {
  return `${name}: names that begin with ${OWN_PREFIX} belong to frond; use this.ctx.storage.kv for key-value data, or another name`;
}
