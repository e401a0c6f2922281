// Calls from outside over real HTTP: what is reached, what is refused, and what a refusal says.

import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { PublicError } from "../../src/cell/expose.ts";
import type { CheckedExposure, ExposedCall } from "../../src/cell/expose.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_CALL_BYTES, MAX_ISSUES } from "../../src/limits.ts";
import { type CallTarget, ExposedCalls } from "../../src/server/door/expose.ts";
import { Session } from "../../src/server/door/session.ts";
import { isSettled, SlowDisk } from "../cell/nodes.ts";
import { exchange, openDoor } from "./doors.ts";
import { post, serveExposed } from "./exposed.ts";
import type { ExposedNode } from "./exposed.ts";

class Todo extends Cell {
  static override migrations = [`CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT NOT NULL) STRICT`];
  add(title: string): number {
    return this.sql.one<{ id: number }>`INSERT INTO item (title) VALUES (${title}) RETURNING id`.id;
  }
  list(): string[] {
    return this.sql.all<{ title: string }>`SELECT title FROM item ORDER BY id`.map(({ title }) => title);
  }
  echo(...values: unknown[]): unknown[] {
    return values;
  }
  secret(): string {
    return "not for you";
  }
  fail(how: string): never {
    this.sql`INSERT INTO item (title) VALUES ('written before the failure')`;
    if (how === "public") throw new PublicError("FULL", "finish something first");
    if (how === "marked") throw Object.assign(new Error("no such page"), { expose: true, code: "GONE", status: 410 });
    if (how === "busy") throw new FrondError("OVERLOADED", "the disk at /var/lib/secret is slow");
    if (how === "sql") this.sql`SELECT * FROM nothing`;
    throw Object.assign(new Error("at /var/lib/secret"), { code: "ENOENT" });
  }
  async failElsewhere(how: string): Promise<void> {
    await this.get(Todo, "other").fail(how);
  }
}
class Vault extends Cell {
  open(): string {
    return "gold";
  }
}

const title = v.pipe(v.string(), v.trim(), v.minLength(1, "a title is not empty"), v.maxLength(20));

/** An app that grants what `authorize` says, by default everything to everybody but the name "forbidden". */
function todoApp(authorize: (call: ExposedCall, origin: { headers: Headers }) => boolean | Promise<boolean> = named) {
  return frond({
    cells: { todo: Todo, vault: Vault },
    expose: {
      todo: {
        add: { args: v.tuple([title]) },
        list: true,
        echo: true,
        fail: true,
        failElsewhere: true,
      },
    },
    authorize,
    origins: ["https://app.example"],
    fetch: () => new Response("the app"),
  });
}
const named = ({ name }: ExposedCall): boolean => name !== "forbidden";

const REFUSED = {
  error: { code: "REFUSED", message: "this call is not open to you, or there is no such thing", retryable: false },
};

describe("a call", () => {
  test("an exposed verb is called over HTTP, with checked arguments", async () => {
    const { url } = await serveExposed(todoApp());
    expect(await post(url, "todo/alice/add", ["  milk "])).toMatchObject({ status: 200, body: { ok: 1 } });
    expect(await post(url, "todo/alice/list", [])).toMatchObject({ status: 200, body: { ok: ["milk"] } });
    expect(await (await fetch(url)).text()).toBe("the app");
  });

  test("any name reaches its cell, in the path or in the query", async () => {
    const { url } = await serveExposed(todoApp());
    for (const name of ["a/b", "..", ".", "ünï %2f", "a+b c", "%"]) {
      const where = `todo/${encodeURIComponent(name)}/add`;
      const query = `todo/add?name=${encodeURIComponent(name)}`;
      if (!/^\.+$/.test(name)) expect((await post(url, where, [name])).body).toEqual({ ok: 1 });
      else expect((await post(url, query, [name])).body).toEqual({ ok: 1 });
      expect((await post(url, query.replace("add", "list"), [])).body).toEqual({ ok: [name] });
    }
  });

  test("values that JSON cannot hold go through both ways", async () => {
    const { url } = await serveExposed(todoApp());
    const values = [{ $date: "2026-01-02T03:04:05.000Z" }, { $bigint: "123" }, { $blob: "AP8=" }, { $real: "NaN" }];
    const more = [{ $map: [[1, { $set: ["a"] }]] }, { $undefined: true }, { $plain: { $date: 1 } }, { a: [null] }];
    expect((await post(url, "todo/alice/echo", [...values, ...more])).body).toEqual({ ok: [...values, ...more] });
  });
});

describe("what is not open is refused alike", () => {
  test("an unknown kind, verb or name, an unexposed verb and a denied cell are indistinguishable", async () => {
    const { url } = await serveExposed(todoApp());
    const places = [
      "todo/forbidden/list",
      "todo/never-made-and-forbidden/list",
      "todo/alice/secret",
      "todo/alice/nothing",
      "todo/alice/fetch",
      "todo/alice/toString",
      "todo/alice/__proto__",
      "vault/alice/open",
      "nothing/alice/list",
      "__proto__/alice/list",
      `todo/${"x".repeat(600)}/list`,
      "todo/%00/list",
      "todo/%ff/list",
      "todo//list",
      "todo/list",
      "todo",
      "",
      "todo/alice/list/more",
    ];
    for (const where of places) {
      const { status, body, headers } = await post(url.replace("never", ""), where.replace("-made-and", ""), []);
      const known = where.startsWith("todo/never");
      expect([where, status, body]).toEqual(known ? [where, 200, { ok: [] }] : [where, 403, REFUSED]);
      expect(headers.get("content-type")).toBe("application/json");
    }
  });

  test("wrong arguments are told only to whom authorize lets through", async () => {
    const asked: (readonly unknown[])[] = [];
    const { url } = await serveExposed(
      todoApp((call) => {
        asked.push(call.args);
        return named(call);
      }),
    );
    const wrong = await post(url, "todo/alice/add", ["  "]);
    expect(wrong.status).toBe(400);
    expect(wrong.body).toEqual({
      error: {
        code: "BAD_ARGUMENTS",
        message: "the arguments of add are not what it takes",
        retryable: false,
        issues: [{ path: [0], message: "a title is not empty" }],
      },
    });
    expect(await post(url, "todo/forbidden/add", ["  "])).toMatchObject({ status: 403, body: REFUSED });
    expect(asked).toEqual([[], []]);
    await post(url, "todo/alice/add", [" x "]);
    expect(asked[2]).toEqual(["x"]);
    expect((await post(url, "todo/alice/list", [])).body).toEqual({ ok: ["x"] });
  });

  test("an authorize that stumbles over arguments that were refused says no", async () => {
    const app = todoApp((call) => (call.args[0] as string).length > 0);
    const { url, log } = await serveExposed(app);
    expect(await post(url, "todo/alice/add", [5])).toMatchObject({ status: 403, body: REFUSED });
    expect(log).toEqual([]);
    expect(await post(url, "todo/alice/list", [])).toMatchObject({ status: 500, body: { error: { code: "FAILED" } } });
    expect(log).toHaveLength(1);
  });

  test("only true grants, and every call is asked about", async () => {
    const answers: unknown[] = [1, "yes", {}, undefined, null, Promise.resolve(1), false, Promise.resolve(true), true];
    const { url } = await serveExposed(todoApp(() => answers.shift() as boolean));
    const statuses: number[] = [];
    while (answers.length > 0) statuses.push((await post(url, "todo/alice/list", [])).status);
    expect(statuses).toEqual([403, 403, 403, 403, 403, 403, 403, 200, 200]);
  });

  test("authorize sees headers, the address, and can ask a cell", async () => {
    const app = frond({
      cells: { todo: Todo },
      expose: { todo: { list: true } },
      authorize: async ({ name }, { headers, remoteAddress, get }) => {
        if (remoteAddress !== "127.0.0.1") return false;
        const allowed = await get(Todo, "allowed").list();
        return headers.get("authorization") === "Bearer x" && allowed.includes(name);
      },
    });
    const { url, node } = await serveExposed(app);
    await node.host.stubs.getFor(new Session())(Todo, "allowed").add("alice");
    expect((await post(url, "todo/alice/list", [], { authorization: "Bearer x" })).status).toBe(200);
    expect((await post(url, "todo/bob/list", [], { authorization: "Bearer x" })).status).toBe(403);
    expect((await post(url, "todo/alice/list", [])).status).toBe(403);
  });

  test("under dev a refusal says why", async () => {
    const { url } = await serveExposed(todoApp(), { dev: true });
    const { body } = await post(url, "todo/alice/secret", []);
    expect(body).toMatchObject({
      error: { code: "REFUSED", message: expect.stringContaining("todo.secret is not exposed") },
    });
  });

  test("an app that exposes nothing answers 404", async () => {
    const { url } = await openDoor(() => new Response("the app"));
    expect((await post(url, "todo/alice/list", [])).status).toBe(404);
  });
});

describe("failures", () => {
  const failing = ["todo/alice/fail", "todo/alice/failElsewhere"];

  test("an error is told when the app marks it, from another cell too", async () => {
    const { url, log } = await serveExposed(todoApp());
    for (const where of failing) {
      expect(await post(url, where, ["public"])).toMatchObject({
        status: 422,
        body: { error: { code: "FULL", message: "finish something first", retryable: false } },
      });
      expect(await post(url, where, ["marked"])).toMatchObject({ status: 410, body: { error: { code: "GONE" } } });
    }
    expect(log).toEqual([]);
  });

  test("any other error is FAILED with an id, and the log has the rest", async () => {
    const { url, log } = await serveExposed(todoApp());
    for (const where of failing) {
      for (const how of ["sql", "plain"]) {
        const { status, body } = await post(url, where, [how]);
        const { error } = body as { error: { requestId: string } };
        expect(status).toBe(500);
        expect(error).toEqual({
          code: "FAILED",
          message: "the call failed; the log of the server has the reason",
          retryable: false,
          requestId: expect.any(String),
        });
        expect(log.at(-1)).toMatchObject({ request: error.requestId, kind: "todo", name: "alice" });
        expect(JSON.stringify(log.at(-1))).toMatch(how === "sql" ? /nothing/ : /secret/);
      }
    }
  });

  test("a failure that a retry can cure says so, and no more", async () => {
    const { url } = await serveExposed(todoApp());
    const { status, body, headers } = await post(url, "todo/alice/fail", ["busy"]);
    expect([status, headers.get("retry-after")]).toEqual([503, "1"]);
    expect(body).toEqual({
      error: { code: "OVERLOADED", message: "this did not work now; try again", retryable: true },
    });
  });

  test("a call whose code never ends is answered when the runtime gives it up", async () => {
    const app = todoApp();
    const { node } = await serveExposed(app);
    const target: CallTarget = {
      app,
      open: () => new Session((_lsn, _bucketLsn, done) => done()),
      // As a watchdog that ends a loop: the promise of the verb is never settled.
      call: (session) => {
        setImmediate(() => session.fail?.(new FrondError("CELL_BUSY", "it ran for too long")));
        return new Promise(() => {});
      },
      getFor: (session) => node.host.stubs.getFor(session),
      refuse: () => undefined,
      log: { error() {} },
      tell: false,
    };
    const calls = new ExposedCalls(target, app.exposure as CheckedExposure);
    const asker = { headers: new Headers(), info: { remoteAddress: "", requestId: "r" } };
    const outcome = await calls.answer({ kind: "todo", name: "a", verb: "list", args: [] }, asker);
    expect(outcome).toMatchObject({ status: 503, error: { code: "CELL_BUSY", retryable: true } });
  });

  test("authorize may say why by a public error", async () => {
    const { url } = await serveExposed(
      todoApp(() => {
        throw new PublicError("SIGN_IN", "sign in first");
      }),
    );
    for (const args of [["x"], [5]]) {
      expect(await post(url, "todo/alice/add", args)).toMatchObject({ body: { error: { code: "SIGN_IN" } } });
    }
    expect(await post(url, "todo/alice/secret", [])).toMatchObject({ body: REFUSED });
  });

  test("a schema that throws or gives no list is a failure of the app", async () => {
    const broken = v.pipe(
      v.any(),
      v.transform(() => "no list"),
    );
    const throwing = v.pipe(
      v.any(),
      v.transform(() => {
        throw new Error("secret");
      }),
    );
    for (const args of [broken, throwing]) {
      const { url } = await serveExposed(
        frond({ cells: { todo: Todo }, expose: { todo: { add: { args: args as never } } }, authorize: named }),
      );
      expect(await post(url, "todo/forbidden/add", ["x"])).toMatchObject({ status: 403, body: REFUSED });
      expect(await post(url, "todo/alice/add", ["x"])).toMatchObject({ status: 500 });
    }
  });

  test("a long list of issues is cut", async () => {
    const app = frond({
      cells: { todo: Todo },
      expose: { todo: { echo: { args: v.array(v.number()) } } },
      authorize: named,
    });
    const { url } = await serveExposed(app);
    const { body } = await post(
      url,
      "todo/alice/echo",
      Array.from({ length: 1000 }, () => "x"),
    );
    expect((body as { error: { issues: unknown[] } }).error.issues).toHaveLength(MAX_ISSUES);
  });
});

describe("the output gate", () => {
  test("an answer from outside waits until what it tells is on the disk, errors and refusals too", async () => {
    const disk = new SlowDisk();
    const asks = { denied: false };
    const app = frond({
      cells: { todo: Todo },
      expose: { todo: { add: true, list: true, failElsewhere: true } },
      authorize: async ({ verb }, { get }) => {
        if (asks.denied) return (await get(Todo, "alice").list()).length > 100;
        return verb === "add";
      },
    });
    const { url } = await serveExposed(app, { io: disk });
    await post(url, "todo/alice/list", []);
    disk.hold();
    const writing = post(url, "todo/alice/add", ["x"]);
    expect(await isSettled(writing)).toBe(false);
    asks.denied = true;
    const refused = post(url, "todo/bob/list", []);
    expect(await isSettled(refused)).toBe(false);
    disk.release();
    expect((await writing).body).toEqual({ ok: 1 });
    expect((await refused).status).toBe(403);
  });
});

describe("requests that are no calls", () => {
  const head = (path: string, lines: string[], body = "[]"): string =>
    [
      `POST ${path} HTTP/1.1`,
      "Host: here.example",
      "Connection: close",
      ...lines,
      `Content-Length: ${body.length}`,
      "",
      body,
    ].join("\r\n");
  const json = "Content-Type: application/json";
  const code = async ({ port }: ExposedNode, lines: string[], body?: string): Promise<string> => {
    const answer = await exchange(port, head("/_frond/call/todo/alice/echo", lines, body));
    return `${answer.slice(9, 12)} ${/"code":"(\w+)"/.exec(answer)?.[1] ?? "ok"}`;
  };

  test("a form, a text and a body that is no list are refused before anything is looked up", async () => {
    const served = await serveExposed(todoApp());
    expect(await code(served, [json])).toBe("200 ok");
    expect(await code(served, ["content-type: Application/JSON; charset=utf-8"])).toBe("200 ok");
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]) {
      expect(await code(served, [`Content-Type: ${type}`])).toBe("415 BAD_CONTENT_TYPE");
    }
    expect(await code(served, [])).toBe("415 BAD_CONTENT_TYPE");
    for (const body of ["", "{}", "[", "1", "null", '"[]"', '{"$set":[]}', '[{"$blob":5}]', '[{"__proto__":1}]']) {
      expect([body, await code(served, [json], body)]).toEqual([body, "400 BAD_ARGUMENTS"]);
      const elsewhere = await exchange(served.port, head("/_frond/call/no/such/thing", [json], body));
      expect(elsewhere).toMatch(/^HTTP\/1\.1 400 [^]*BAD_ARGUMENTS/);
    }
  });

  test("a path that means another one is no call: a guard in front may have looked at that one", async () => {
    const { port } = await serveExposed(todoApp());
    const ask = (path: string): Promise<string> =>
      exchange(
        port,
        `POST ${path} HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\nContent-Type: application/json\r\n` +
          `Content-Length: 2\r\n\r\n[]`,
      );
    expect(await ask("/_frond/call/todo/alice/list")).toMatch(/^HTTP\/1\.1 200 /);
    for (const path of [
      "/_frond/call/../../elsewherexx/todo/alice/list",
      "/_frond/call/%2e%2e/%2E%2e/elsewherexx/todo/alice/list",
    ]) {
      expect(await ask(path), path).toMatch(/^HTTP\/1\.1 403 [^]*"REFUSED"/);
    }
  });

  test("another method is 405", async () => {
    const { url } = await serveExposed(todoApp());
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await fetch(`${url}/_frond/call/todo/alice/list`, { method });
      expect([method, answer.status, answer.headers.get("allow")]).toEqual([method, 405, "POST"]);
    }
  });

  test("arguments above the limit are 413, stated or streamed", async () => {
    const { url } = await serveExposed(todoApp());
    const body = JSON.stringify(["x".repeat(MAX_CALL_BYTES - 4)]);
    expect(await post(url, "todo/alice/echo", body)).toMatchObject({ status: 200 });
    expect(await post(url, "todo/alice/echo", `${body} `)).toMatchObject({ status: 413 });
    const streamed = await fetch(`${url}/_frond/call/todo/alice/echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Blob([body, " "]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(streamed.status).toBe(413);
  });

  test("a page of another origin is refused, that of the host and a listed one may call", async () => {
    const served = await serveExposed(todoApp());
    const from = (origin: string): Promise<string> => code(served, [json, `Origin: ${origin}`]);
    expect(await from("http://here.example")).toBe("200 ok");
    expect(await from("https://here.example")).toBe("200 ok");
    expect(await from("https://app.example")).toBe("200 ok");
    for (const other of [
      "https://evil.example",
      "http://here.example:81",
      "null",
      "",
      "https://app.example.evil",
      "file://here.example",
      "x",
    ]) {
      expect([other, await from(other)]).toEqual([other, "403 BAD_ORIGIN"]);
    }
  });

  test("a preflight is answered for a listed origin alone", async () => {
    const { port } = await serveExposed(todoApp());
    const ask = (origin: string): Promise<string> =>
      exchange(
        port,
        `OPTIONS /_frond/call/todo/alice/list HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\nOrigin: ${origin}\r\n` +
          `Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n\r\n`,
      );
    const granted = await ask("https://app.example");
    expect(granted).toMatch(/^HTTP\/1\.1 204 /);
    expect(granted).toMatch(/access-control-allow-origin: https:\/\/app\.example\r\n/i);
    expect(granted).toMatch(/access-control-allow-headers: authorization,content-type\r\n/i);
    expect(granted).toMatch(/vary: origin\r\n/i);
    for (const origin of ["https://evil.example", "https://here.example"]) {
      const answer = await ask(origin);
      expect(answer).toMatch(/^HTTP\/1\.1 40[35] /);
      expect(answer).not.toMatch(/access-control/i);
    }
    const { url } = await serveExposed(todoApp());
    const listed = await post(url, "todo/forbidden/list", [], { origin: "https://app.example" });
    expect([listed.status, listed.headers.get("access-control-allow-origin")]).toEqual([403, "https://app.example"]);
  });
});
