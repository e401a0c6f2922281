// Calls from outside over a WebSocket, by raw frames: what is answered, what ends the socket, what is bounded.

import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { PublicError } from "../../src/cell/expose.ts";
import { MAX_CALL_BYTES, MAX_RESULT_BYTES, MAX_SOCKET_BUFFER_BYTES, MAX_SOCKET_CALLS } from "../../src/limits.ts";
import { gate } from "./doors.ts";
import type { Gate } from "./doors.ts";
import { post, serveExposed } from "./exposed.ts";

let held: Gate = gate();
const state = { running: 0, most: 0, huge: 0 };

class Room extends Cell {
  echo(...values: unknown[]): unknown[] {
    return values;
  }
  async hold(value: number): Promise<number> {
    state.running += 1;
    state.most = Math.max(state.most, state.running);
    await held.opened;
    state.running -= 1;
    return value;
  }
  fail(): never {
    throw new PublicError("FULL", "no more");
  }
  large(): string {
    return "x".repeat(500_000);
  }
  huge(): string {
    state.huge += 1;
    return "x".repeat(MAX_SOCKET_BUFFER_BYTES);
  }
  endless(): string {
    // Six characters each as JSON; ten times as many would be more than a string can hold.
    return "\u0001".repeat(MAX_RESULT_BYTES / 6 + 1);
  }
  secret(): string {
    return "no";
  }
}

const app = frond({
  cells: { room: Room },
  expose: { room: { echo: true, hold: true, fail: true, large: true, huge: true, endless: true } },
  authorize: ({ name }, { headers }) => name !== "forbidden" && headers.get("x-user") !== "nobody",
  origins: ["https://app.example"],
});

interface Answer {
  readonly id: number;
  readonly ok?: unknown;
  readonly error?: { readonly code: string; readonly retryable: boolean };
}

interface Line {
  readonly ws: WebSocket;
  send(frame: unknown): void;
  call(id: number, verb: string, args?: unknown[], name?: string): void;
  /** Waits for the next answers. */
  next(count?: number): Promise<Answer[]>;
  closed(): Promise<[number, string]>;
}

async function open(url: string, headers: Record<string, string> = {}): Promise<Line> {
  const ws = new WebSocket(`${url.replace("http", "ws")}/_frond/socket`, { headers });
  onTestFinished(() => ws.terminate());
  const answers: Answer[] = [];
  let wake = (): void => {};
  ws.on("message", (data: Buffer) => {
    answers.push(JSON.parse(data.toString()) as Answer);
    wake();
  });
  const closed = once(ws, "close").then(([code, reason]) => [code as number, String(reason)] as [number, string]);
  await once(ws, "open");
  const send = (frame: unknown): void => ws.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  return {
    ws,
    send,
    call: (id, verb, args = [], name = "a") => send({ id, kind: "room", name, verb, args }),
    async next(count = 1) {
      while (answers.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return answers.splice(0, count);
    },
    closed: () => closed,
  };
}

describe("calls over a WebSocket", () => {
  test("are answered by their id, as they end", async () => {
    held = gate();
    const { url } = await serveExposed(app);
    const line = await open(url);
    line.call(1, "hold", [7]);
    line.call(2, "echo", [{ $date: "2026-01-02T03:04:05.000Z" }, { $blob: "AA==" }]);
    expect(await line.next()).toEqual([{ id: 2, ok: [{ $date: "2026-01-02T03:04:05.000Z" }, { $blob: "AA==" }] }]);
    held.open();
    expect(await line.next()).toEqual([{ id: 1, ok: 7 }]);
  });

  test("each call is asked about, with the headers of the handshake", async () => {
    const { url } = await serveExposed(app);
    const line = await open(url);
    line.call(1, "echo", [], "forbidden");
    line.call(2, "secret");
    line.call(3, "fail");
    line.call(4, "echo", [{ $blob: 5 }]);
    line.call(5, "echo");
    const codes = (await line.next(5)).sort((a, b) => a.id - b.id).map(({ error }) => error?.code);
    expect(codes).toEqual(["REFUSED", "REFUSED", "FULL", "BAD_ARGUMENTS", undefined]);
    const nobody = await open(url, { "x-user": "nobody" });
    nobody.call(1, "echo");
    expect(await nobody.next()).toMatchObject([{ id: 1, error: { code: "REFUSED", retryable: false } }]);
  });

  test("a socket refuses pages of other origins", async () => {
    const { url } = await serveExposed(app);
    const refusal = async (origin: string): Promise<unknown> => {
      const ws = new WebSocket(`${url.replace("http", "ws")}/_frond/socket`, { origin });
      ws.on("error", () => {});
      const [, answer] = (await once(ws, "unexpected-response")) as [unknown, { statusCode: number }];
      ws.terminate();
      return answer.statusCode;
    };
    expect(await refusal("https://evil.example")).toBe(403);
    expect(await refusal("null")).toBe(403);
    for (const origin of ["https://app.example", url]) (await open(url, { origin })).ws.close();
    expect((await fetch(`${url}/_frond/socket`)).status).toBe(426);
  });
});

describe("frames that are no calls", () => {
  test.each<[string, string | Buffer, number]>([
    ["no JSON", "{", 1007],
    ["no object", "5", 1008],
    ["null", "null", 1008],
    ["a list", "[]", 1008],
    ["no id", '{"kind":"room","name":"a","verb":"echo","args":[]}', 1008],
    ["an id that is no number", '{"id":"1","kind":"room","name":"a","verb":"echo","args":[]}', 1008],
    ["arguments that are no list", '{"id":1,"kind":"room","name":"a","verb":"echo","args":{}}', 1008],
    ["bytes", Buffer.from("{}"), 1003],
    ["too many bytes", `"${"x".repeat(MAX_CALL_BYTES + 60_000)}"`, 1009],
  ])("%s ends the socket with a reason", async (_what, frame, code) => {
    const { url, log } = await serveExposed(app);
    const line = await open(url);
    line.ws.send(frame);
    const [closed, reason] = await line.closed();
    expect(closed).toBe(code);
    if (code !== 1009) expect(reason).not.toBe("");
    expect(log.filter(({ level }) => (level as number) >= 50)).toEqual([]);
    expect((await post(url, "room/a/echo", [])).status).toBe(200);
  });

  test("the largest arguments fit into a frame", async () => {
    const { url } = await serveExposed(app);
    const line = await open(url);
    const text = "x".repeat(MAX_CALL_BYTES - 4);
    line.call(1, "echo", [text], "\u0001".repeat(500));
    expect(await line.next()).toEqual([{ id: 1, ok: [text] }]);
  });
});

describe("bounds", () => {
  test("a result that is too large fails its call, and the next one is answered", async () => {
    const { url, log } = await serveExposed(app);
    const line = await open(url);
    line.call(1, "endless");
    expect(await line.next()).toMatchObject([{ id: 1, error: { code: "FAILED", retryable: false } }]);
    expect(log.some(({ err }) => (err as { code?: string } | undefined)?.code === "RESULT_TOO_LARGE")).toBe(true);
    line.call(2, "echo", [2]);
    expect(await line.next()).toEqual([{ id: 2, ok: [2] }]);
    expect(await post(url, "room/a/endless", [])).toMatchObject({ status: 500, body: { error: { code: "FAILED" } } });
  });

  test("calls of one socket run side by side up to a number, and the others wait", async () => {
    held = gate();
    state.most = 0;
    const { url } = await serveExposed(app);
    const line = await open(url);
    const count = MAX_SOCKET_CALLS * 3;
    for (let id = 0; id < count; id++) line.call(id, "hold", [id], `room ${id}`);
    await expect.poll(() => state.running).toBe(MAX_SOCKET_CALLS);
    held.open();
    const answers = await line.next(count);
    expect(answers.map(({ id, ok }) => [id, ok]).sort(([a], [b]) => (a as number) - (b as number))).toEqual(
      Array.from({ length: count }, (_, id) => [id, id]),
    );
    expect(state.most).toBe(MAX_SOCKET_CALLS);
  });

  test("a client that does not read its answers is read no further, and gets them all when it does", async () => {
    const { url } = await serveExposed(app);
    const line = await open(url);
    line.ws.pause();
    const count = MAX_SOCKET_CALLS * 2;
    for (let id = 0; id < count; id++) line.call(id, "large");
    await post(url, "room/a/echo", []);
    line.ws.resume();
    const answers = await line.next(count);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(count);
    for (const { ok } of answers) expect((ok as string).length).toBe(500_000);
  });

  test("of large answers few wait for a client that does not read, and it gets them all when it does", async () => {
    const { url } = await serveExposed(app);
    const line = await open(url);
    line.ws.pause();
    state.huge = 0;
    for (let id = 0; id < MAX_SOCKET_CALLS; id++) line.call(id, "huge");
    let seen = -1;
    while (seen !== state.huge || seen === 0) {
      seen = state.huge;
      for (let i = 0; i < 10; i++) await post(url, "room/b/echo", []);
    }
    expect(seen).toBeLessThan(MAX_SOCKET_CALLS / 2);
    line.ws.resume();
    expect((await line.next(MAX_SOCKET_CALLS)).every(({ ok }) => typeof ok === "string")).toBe(true);
  }, 15_000);

  test("a stop answers what is in work, refuses what comes, and closes with 1012", async () => {
    held = gate();
    state.running = 0;
    const { url, front } = await serveExposed(app);
    const line = await open(url);
    line.call(1, "hold", [1]);
    await expect.poll(() => state.running).toBe(1);
    const stopped = front.stop(5_000);
    await new Promise((resolve) => setImmediate(resolve));
    line.call(2, "echo");
    expect(await line.next()).toMatchObject([{ id: 2, error: { code: "STOPPING", retryable: true } }]);
    held.open();
    expect(await line.next()).toEqual([{ id: 1, ok: 1 }]);
    expect((await line.closed())[0]).toBe(1012);
    await stopped;
  });

  test("a call that is in work at a stop has the grace that a request has", async () => {
    held = gate();
    state.running = 0;
    const { url, front, node } = await serveExposed(app);
    const [line, silent] = [await open(url), await open(url)];
    line.call(1, "hold", [1]);
    await expect.poll(() => state.running).toBe(1);
    // The other one does not answer the close, and is cut: only then the call ends.
    silent.ws.pause();
    const stopped = front.stop(30_000);
    await expect.poll(() => node.upgrades.count, { timeout: 10_000 }).toBe(1);
    held.open();
    expect(await line.next()).toEqual([{ id: 1, ok: 1 }]);
    expect((await line.closed())[0]).toBe(1012);
    await stopped;
  }, 15_000);
});
