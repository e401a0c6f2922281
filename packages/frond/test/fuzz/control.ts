// The control socket of a real node: arguments of every shape, JSON that is none, methods that are not.
//
// Rule: every request is answered, with {"ok"} or with an error of frond's own codes; only a verb that throws may answer
// THROWN. What was not asked with `write` changes nothing, no tool makes a cell, and the node lives on.

import fc from "fast-check";
import { Agent, request } from "node:http";
import { isDeepStrictEqual } from "node:util";
import { ERROR_CODES } from "../../src/errors.ts";
import { serveControl } from "../../src/server/operator/control.ts";
import type { NodeControl } from "../../src/server/operator/nodeControl.ts";
import { mutate, mutations } from "./mutate.ts";
import { Box, openBoxes } from "./nodes.ts";
import { type Entrance, target, type Target } from "./target.ts";

interface ControlCase {
  readonly method: string;
  readonly http: string;
  readonly args: unknown;
  readonly changes: Parameters<typeof mutate>[1];
  readonly deep: number;
}

const address = fc.constantFrom(
  "box/a",
  "box/a",
  "box/a",
  "box/w",
  "box/none",
  "box/a/b",
  "box/",
  "/",
  "",
  "nobox/a",
  "box/%00",
  "box/..%2f..",
);
const sql = fc.oneof(
  fc.constantFrom(
    "SELECT * FROM t",
    "SELECT ?, ?",
    "SELECT 9223372036854775807",
    "SELECT x'00ff', 1e999, 'é'",
    "",
    ";",
    "SELECT 1; SELECT 2",
    "DELETE FROM t",
    "UPDATE t SET b = 'x' RETURNING a",
    "DROP TABLE t",
    "CREATE TABLE u (x)",
    "COMMIT",
    "ROLLBACK",
    "ATTACH 'x' AS y",
    "PRAGMA user_version = 5",
    "PRAGMA journal_mode",
    "VACUUM",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "EXPLAIN DELETE FROM t",
    "PRAGMA optimize",
    "ANALYZE",
    "SELECT load_extension('x')",
    "SELECT :a",
    "SELECT * FROM nothing",
  ),
  fc.string({ maxLength: 12 }),
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom({ $blob: "AQI=" }, { $blob: "?" }, { $real: "Infinity" }),
);
const verb = fc.constantFrom(
  "echo",
  "boom",
  "fill",
  "play",
  "fetch",
  "constructor",
  "__proto__",
  "ctx",
  "then",
  "",
  "alarm",
);
const values = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(value, { maxLength: 3 }) },
  { weight: 1, arbitrary: value },
);
const pages = fc.constantFrom<unknown>(1, -1, 1e9, 0.5, "x", null);
const method = fc.constantFrom("sql", "call", "cells", "status", "version", "exportTo", "none", "toString", "%2f", "");

/** A method with arguments that suit it, more or less. */
const asked: fc.Arbitrary<{ method: string; args: unknown }> = fc.oneof(
  { weight: 6, arbitrary: of("sql", fc.tuple(address, sql, values, fc.constantFrom(false, null, 1))) },
  { weight: 2, arbitrary: of("sql", fc.tuple(fc.constant("box/w"), sql, values, fc.constant(true))) },
  { weight: 4, arbitrary: of("call", fc.tuple(fc.constantFrom("box/w", "box/..%2f.."), verb, values)) },
  { weight: 1, arbitrary: of("cells", fc.tuple(fc.oneof(address, value), pages)) },
  { weight: 1, arbitrary: of("exportTo", fc.tuple(address)) },
  {
    weight: 2,
    arbitrary: fc.record({ method, args: fc.oneof(values, fc.tuple(address, sql), fc.tuple(address, verb)) }),
  },
);

function of(name: string, args: fc.Arbitrary<unknown>): fc.Arbitrary<{ method: string; args: unknown }> {
  return args.map((list) => ({ method: name, args: list }));
}

export function controlTarget(broken: (control: NodeControl) => NodeControl = (control) => control): Target {
  return target("control", 400, async (): Promise<Entrance<ControlCase>> => {
    const { node, get, directory, fatal, close } = await openBoxes();
    for (const name of ["a", "w"]) await get(Box, name).fill();
    const front = await serveControl(directory, broken(node.control));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (http: string, name: string, body: Buffer): Promise<Answer> =>
      send(agent, front.path, http, name, body);
    const look = async (): Promise<unknown> => [
      await node.control.sql(
        "box/a",
        "SELECT a, b, hex(c) FROM t UNION ALL SELECT type, name, sql FROM sqlite_schema",
        [],
        false,
      ),
      node.control.cells(undefined, 100).filter(({ address: known }) => known !== "box/..%2f..").length,
    ];
    let before = await look();
    return {
      input: fc
        .record({
          asked,
          http: fc.oneof(
            { weight: 8, arbitrary: fc.constant("POST") },
            { weight: 1, arbitrary: fc.constantFrom("GET", "PUT") },
          ),
          changes: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
          deep: fc.oneof(
            { weight: 6, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.constantFrom(900, 1100, 30_000) },
          ),
        })
        .map(({ asked: one, ...rest }) => ({ ...rest, ...one })),
      async check(input) {
        const json = JSON.stringify(input.args);
        const text = `${"[".repeat(input.deep)}${json}${"]".repeat(input.deep)}`;
        const answer = await ask(input.http, input.method, mutate(Buffer.from(text), input.changes));
        judge(input, answer);
        const now = await look();
        // A verb may change its cell, and make one; bytes that were changed may name another cell.
        const mayChange = input.method === "call" || (input.changes.length > 0 && isToldToWrite(input.args));
        if (!mayChange && !isDeepStrictEqual(now, before)) {
          throw new Error(`${JSON.stringify(before)} has become ${JSON.stringify(now)}`);
        }
        before = now;
        if (fatal.length > 0) throw new Error(`the node gave up: ${String(fatal[0])}`);
      },
      async close() {
        agent.destroy();
        await front.stop();
        await close();
      },
    };
  });
}

function isToldToWrite(args: unknown): boolean {
  return Array.isArray(args) && args[3] === true;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

function judge(input: ControlCase, { status, body }: Answer): void {
  if (status === 200 && input.method === "exportTo") {
    if (!body.toString("latin1").startsWith("SQLite format 3\0")) throw new Error("the export is no database");
    return;
  }
  const told = JSON.parse(body.toString()) as { error?: { code?: unknown; message?: unknown } };
  if (status === 200) {
    if (told.error !== undefined) throw new Error("an error with status 200");
    return;
  }
  const { code, message } = told.error ?? {};
  if (typeof message !== "string" || typeof code !== "string") throw new Error(`answered ${body.toString()}`);
  if (Object.hasOwn(ERROR_CODES, code)) return;
  if (input.method !== "call") throw new Error(`answered ${body.toString()}`);
}

function send(agent: Agent, socketPath: string, verbOfHttp: string, name: string, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, agent, method: verbOfHttp, path: `/${name}` }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    outgoing.setHeader("content-length", body.length);
    outgoing.on("error", reject).end(body);
  });
}
