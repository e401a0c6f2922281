// The client against real servers: over HTTP and over a WebSocket, and what it says when something is in the way.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as v from "valibot";
import { describe, expect, onTestFinished, test } from "vitest";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { PublicError } from "../../src/cell/expose.ts";
import { MAX_ARGUMENT_BYTES } from "../../src/client/calls.ts";
import { connect, FrondClientError } from "../../src/client/connect.ts";
import type { ClientSocket, ConnectOptions } from "../../src/client/connect.ts";
import { MAX_CALL_BYTES } from "../../src/limits.ts";
import { gate } from "../server/doors.ts";
import type { Gate } from "../server/doors.ts";
import { serveExposed } from "../server/exposed.ts";

let held: Gate = gate();
const calls: string[] = [];

class Todo extends Cell {
  static override migrations = [`CREATE TABLE item (title TEXT NOT NULL) STRICT`];
  add(title: string): number {
    this.sql`INSERT INTO item (title) VALUES (${title})`;
    return this.list().length;
  }
  list(): string[] {
    return this.sql.all<{ title: string }>`SELECT title FROM item`.map(({ title }) => title);
  }
  echo<T>(value: T): T {
    return value;
  }
  full(): never {
    throw new PublicError("FULL", "no more");
  }
  broken(): never {
    throw new Error("secret");
  }
  async hold(what: string): Promise<string> {
    calls.push(what);
    await held.opened;
    return what;
  }
}

const app = frond({
  cells: { todo: Todo },
  expose: {
    todo: {
      add: { args: v.tuple([v.pipe(v.string(), v.nonEmpty("a title is not empty"))]) },
      list: true,
      echo: true,
      full: true,
      broken: true,
      hold: true,
    },
  },
  authorize: ({ name }, { headers }) => name !== "forbidden" && headers.get("authorization") !== "Bearer old",
});

type Todos = ReturnType<ReturnType<typeof connect<typeof app>>["get"]>;

function client(url: string, options?: ConnectOptions): ReturnType<typeof connect<typeof app>> {
  const made = connect<typeof app>(url, options);
  onTestFinished(() => made.close());
  return made;
}

async function failure(promise: Promise<unknown>): Promise<FrondClientError> {
  const error = await promise.then(
    (value) => new Error(`it gave ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (error instanceof FrondClientError) return error;
  throw error;
}

describe.each([false, true])("a client (socket: %s)", (socket) => {
  test("calls exposed verbs with exact values", async () => {
    const { url } = await serveExposed(app);
    const todo = client(url, { socket }).get("todo", "alice/../ünï %2f");
    expect(await todo.add("milk")).toBe(1);
    expect(await todo.list()).toEqual(["milk"]);
    const value = { at: new Date(5), big: 2n ** 70n, bytes: new Uint8Array([1]), map: new Map([[1, new Set([NaN])]]) };
    expect(await todo.echo({ ...value, none: undefined })).toStrictEqual({ ...value, none: undefined });
    expect(await todo.echo(undefined)).toBe(undefined);
  });

  test("names that URLs would change reach their cells", async () => {
    const { url } = await serveExposed(app);
    const made = client(url, { socket });
    for (const name of [".", "..", "a/b", "a\\b", "%2e", "?", "#"]) await made.get("todo", name).add(name);
    for (const name of [".", "..", "a/b", "a\\b", "%2e", "?", "#"]) {
      expect(await made.get("todo", name).list()).toEqual([name]);
    }
  });

  test("errors arrive with code, message, retryable, status and issues", async () => {
    const { url } = await serveExposed(app);
    const made = client(url, { socket });
    const todo = made.get("todo", "alice");
    const status = (number: number): number | undefined => (socket ? undefined : number);
    expect(await failure(todo.full())).toMatchObject({ code: "FULL", message: "no more", status: status(422) });
    const broken = await failure(todo.broken());
    expect(broken).toMatchObject({
      code: "FAILED",
      retryable: false,
      status: status(500),
      requestId: expect.any(String),
    });
    expect(broken.message).not.toContain("secret");
    expect(await failure(made.get("todo", "forbidden").list())).toMatchObject({ code: "REFUSED", status: status(403) });
    const wrong = await failure(todo.add(""));
    expect(wrong).toMatchObject({ code: "BAD_ARGUMENTS", issues: [{ path: [0], message: "a title is not empty" }] });
  });

  test("what cannot be sent fails before anything is sent", async () => {
    const { url } = await serveExposed(app);
    const todo = client(url, { socket }).get("todo", "alice");
    expect(await failure(todo.echo(() => 1))).toMatchObject({ code: "BAD_ARGUMENTS" });
    expect(await failure(todo.echo("x".repeat(MAX_ARGUMENT_BYTES)))).toMatchObject({ code: "BAD_ARGUMENTS" });
    expect(await todo.echo("é".repeat(MAX_ARGUMENT_BYTES / 2 - 2))).toHaveLength(MAX_ARGUMENT_BYTES / 2 - 2);
    expect(MAX_ARGUMENT_BYTES).toBe(MAX_CALL_BYTES);
  });

  test("a call that gets no answer in time fails with OUTCOME_UNKNOWN, one that is aborted with the reason", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    const made = client(url, { socket });
    const short = await failure(made.get("todo", "a", { timeoutMs: 20 }).hold("short"));
    expect(short).toMatchObject({ code: "OUTCOME_UNKNOWN", retryable: false });
    const abort = new AbortController();
    const aborted = made.get("todo", "b", { signal: abort.signal }).hold("aborted");
    await expect.poll(() => calls).toContain("aborted");
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(made.get("todo", "b", { signal: abort.signal }).hold("never")).rejects.toBe(reason);
    held.open();
    expect(await made.get("todo", "c").hold("after")).toBe("after");
    expect(calls).not.toContain("never");
  });

  test("a handle is an ordinary value", async () => {
    const todo = client("http://localhost:1", { socket }).get("todo", "alice") as Todos & Record<string, unknown>;
    expect(await todo).toBe(todo);
    expect(JSON.stringify({ todo })).toBe('{"todo":{}}');
    expect(() => {
      "use strict";
      todo["x"] = 1;
    }).toThrow(TypeError);
    expect(({} as { x?: unknown }).x).toBe(undefined);
  });
});

describe("over HTTP", () => {
  test("headers go along, fixed or made for each call", async () => {
    const { url } = await serveExposed(app);
    let token = "old";
    const made = client(url, { headers: async () => ({ authorization: `Bearer ${token}` }) });
    expect(await failure(made.get("todo", "a").list())).toMatchObject({ code: "REFUSED" });
    token = "new";
    expect(await made.get("todo", "a").list()).toEqual([]);
    const fixed = client(url, { headers: { authorization: "Bearer old" } });
    expect(await failure(fixed.get("todo", "a").list())).toMatchObject({ code: "REFUSED" });
  });

  test("a server that is not there, or not frond, leaves the outcome unknown", async () => {
    const server = createServer((request, response) => {
      const moved = request.url?.includes("moved") === true;
      response.writeHead(moved ? 307 : 502, moved ? { location: "/elsewhere" } : {}).end("<h1>Bad Gateway</h1>");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await failure(client(url).get("todo", "a").list())).toMatchObject({ code: "OUTCOME_UNKNOWN", status: 502 });
    expect(await failure(client(url).get("todo", "moved").list())).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await new Promise((resolve) => server.close(resolve));
    const gone = await failure(client(url).get("todo", "a").list());
    expect(gone).toMatchObject({ code: "OUTCOME_UNKNOWN", status: undefined, cause: expect.any(Error) });
  });

  test("a refusal of the front door itself keeps its code, and says when a retry can help", async () => {
    const { url, node } = await serveExposed(app);
    await node.stop();
    expect(await failure(client(url).get("todo", "a").list())).toMatchObject({ code: "STOPPING", retryable: true });
  });

  test("the fetch that is given is used, below the path that is given", async () => {
    const asked: unknown[] = [];
    const made = client("https://a.example/below/", {
      fetch: async (input, init) => {
        asked.push(input, init?.redirect);
        return Response.json({ ok: ["x"] });
      },
    });
    expect(await made.get("todo", "a b").list()).toEqual(["x"]);
    expect(asked).toEqual(["https://a.example/below/_frond/call/todo/a%20b/list", "error"]);
  });
});

describe("over a WebSocket", () => {
  test("one socket carries all calls, and answers come as they are ready", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    const made: string[] = [];
    const webSocket = (to: string): ClientSocket => {
      made.push(to);
      return new WebSocket(to);
    };
    const todos = client(url, { socket: true, webSocket });
    const slow = todos.get("todo", "slow").hold("slow");
    const many = Array.from({ length: 200 }, (_, i) => todos.get("todo", `${i}`).add("x"));
    expect(await Promise.all(many)).toEqual(many.map(() => 1));
    held.open();
    expect(await slow).toBe("slow");
    expect(made).toEqual([`${url.replace("http", "ws")}/_frond/socket`]);
  });

  test("a lost socket fails what was in flight with OUTCOME_UNKNOWN, and the next call makes another", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    const sockets: WebSocket[] = [];
    const webSocket = (to: string): ClientSocket => {
      const made = new WebSocket(to);
      sockets.push(made);
      return made;
    };
    const todos = client(url, { socket: true, webSocket });
    const inFlight = todos.get("todo", "a").hold("lost");
    await expect.poll(() => calls).toContain("lost");
    sockets[0]?.close();
    expect(await failure(inFlight)).toMatchObject({ code: "OUTCOME_UNKNOWN", retryable: false });
    held.open();
    expect(await todos.get("todo", "a").list()).toEqual([]);
    expect(sockets).toHaveLength(2);
    expect(calls.filter((what) => what === "lost")).toHaveLength(1);
  });

  test("calls wait for a server that is away, as long as their time allows", async () => {
    const { url, front } = await serveExposed(app);
    const { port } = front.address;
    await front.stop(0);
    const todos = client(url, { socket: true });
    const never = await failure(todos.get("todo", "a", { timeoutMs: 50 }).list());
    expect(never).toMatchObject({ code: "NOT_CONNECTED", retryable: true });
    const waiting = todos.get("todo", "a").add("x");
    const again = await serveExposed(app, {}, port);
    expect(again.url).toBe(url);
    expect(await waiting).toBe(1);
  });

  test("a socket that has gone silent is left to the calls in flight, and the next call makes another", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    let made = 0;
    const webSocket = (to: string): ClientSocket => {
      made += 1;
      return new WebSocket(to);
    };
    const todos = client(url, { socket: true, webSocket });
    expect(await todos.get("todo", "a").list()).toEqual([]);
    const patient = todos.get("todo", "patient").hold("patient");
    const hasty = await failure(todos.get("todo", "hasty", { timeoutMs: 50 }).hold("hasty"));
    expect(hasty).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(await todos.get("todo", "a").list()).toEqual([]);
    expect(made).toBe(2);
    held.open();
    expect(await patient).toBe("patient");
  });

  test("a closed client fails its calls, and makes no more", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    const todos = client(url, { socket: true });
    const inFlight = failure(todos.get("todo", "a").hold("closing"));
    await expect.poll(() => calls).toContain("closing");
    todos.close();
    expect(await inFlight).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(await failure(todos.get("todo", "a").list())).toMatchObject({ code: "NOT_CONNECTED" });
    held.open();
  });

  test("headers need a socket maker that can send them", () => {
    expect(() => connect("http://a.example", { socket: true, headers: { a: "b" } })).toThrow(TypeError);
    expect(() => connect("ftp://a.example")).toThrow(TypeError);
    expect(() => connect("nowhere")).toThrow(TypeError);
  });
});
