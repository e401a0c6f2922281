// What strangers send to the door of calls: random requests and frames, and clients that do not read.
//
// Rule: whatever arrives, the answer is one of the few that the interface has, the log stays quiet, and the next caller is
// served.

import { once } from "node:events";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { FakeClock } from "../../src/clock.ts";
import { MAX_SOCKET_CALLS, WRITE_TIMEOUT_MS } from "../../src/limits.ts";
import { exchange } from "./doors.ts";
import { post, serveExposed } from "./exposed.ts";

class Echo extends Cell {
  echo(...values: unknown[]): unknown[] {
    return values;
  }
  large(): string {
    return "x".repeat(500_000);
  }
}

const app = frond({
  cells: { echo: Echo },
  expose: { echo: { echo: true, large: true } },
  authorize: ({ name }) => name === "open",
});

const FORMS = ["$blob", "$date", "$map", "$set", "$plain", "$bigint", "$real", "$undefined", "$", "__proto__", "a"];

/** JSON that comes near to the forms of values. */
const { near } = fc.letrec<{ near: unknown }>((tie) => ({
  near: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 1, "", "AA==", "2026-01-31T12:00:00Z", "NaN", "12", true, [], {}),
    fc.array(tie("near"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...FORMS), tie("near"), { maxKeys: 2 }),
  ),
}));
const text = fc.oneof(
  near.map((value) => JSON.stringify(value)),
  fc.array(near).map((value) => JSON.stringify(value)),
  fc.json(),
  fc.string({ unit: "binary" }),
);
const segment = fc.oneof(
  fc.constantFrom("echo", "open", "..", "%2e%2e", "%00", "%", "%ff", "__proto__", "toString", "", "?name=open"),
  fc.string({ unit: "grapheme-ascii", maxLength: 5 }).map(encodeURIComponent),
);

describe("whatever a stranger sends", () => {
  test("over HTTP, the answer is one of the interface, and the next caller is served", async () => {
    const { port, url, log } = await serveExposed(app);
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { maxLength: 4 }), text, fc.boolean(), async (path, body, known) => {
        const where = known ? "echo/open/echo" : path.join("/");
        const bytes = Buffer.from(body);
        const head =
          `POST /_frond/call/${where} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;
        const answer = await exchange(port, head + bytes.toString("latin1"));
        const [, status] = /^HTTP\/1\.1 (\d+) /.exec(answer) ?? [];
        expect(known ? ["200", "400"] : ["200", "400", "403"], answer).toContain(status);
        const told = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as { ok?: unknown; error?: object };
        expect("ok" in told ? Array.isArray(told.ok) : typeof told.error).toBe(status === "200" ? true : "object");
      }),
      { numRuns: 200 },
    );
    expect(await post(url, "echo/open/echo", [1])).toMatchObject({ status: 200, body: { ok: [1] } });
    expect(log).toEqual([]);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test("over a WebSocket, each frame is answered or ends the socket with a reason", async () => {
    const { url, log } = await serveExposed(app);
    const frame = fc.oneof(
      text,
      fc
        .record(
          {
            id: fc.oneof(fc.integer(), near),
            kind: fc.constantFrom("echo", "x", "__proto__"),
            name: fc.constantFrom("open", "", "\0", "closed"),
            verb: fc.constantFrom("echo", "fetch", "constructor"),
            args: fc.oneof(fc.array(near), near),
          },
          { requiredKeys: ["kind"] },
        )
        .map((value) => JSON.stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(frame, async (sent) => {
        const ws = new WebSocket(`${url.replace("http", "ws")}/_frond/socket`);
        const outcome = Promise.race([once(ws, "message"), once(ws, "close")]);
        await once(ws, "open");
        ws.send(sent);
        const [what] = (await outcome) as [Buffer | number];
        ws.terminate();
        if (typeof what === "number") {
          expect([1007, 1008]).toContain(what);
          return;
        }
        const answer = JSON.parse(what.toString()) as { ok?: unknown; error?: { code: string } };
        if (!("ok" in answer)) expect(["REFUSED", "BAD_ARGUMENTS"]).toContain(answer.error?.code);
      }),
      { numRuns: 150 },
    );
    expect(log).toEqual([]);
  });

  test("a client that never reads its answers is cut after a while, one that has none waiting is not", async () => {
    const clock = new FakeClock();
    const { url, node } = await serveExposed(app, { clock });
    const open = async (): Promise<WebSocket> => {
      const ws = new WebSocket(`${url.replace("http", "ws")}/_frond/socket`);
      onTestFinished(() => ws.terminate());
      await once(ws, "open");
      return ws;
    };
    const [greedy, quiet] = [await open(), await open()];
    greedy.pause();
    for (let id = 0; id < MAX_SOCKET_CALLS * 2; id++) {
      greedy.send(JSON.stringify({ id, kind: "echo", name: "open", verb: "large", args: [] }));
    }
    const ask = async (id: number): Promise<unknown> => {
      quiet.send(JSON.stringify({ id, kind: "echo", name: "open", verb: "echo", args: [] }));
      const [answer] = (await once(quiet, "message")) as [Buffer];
      return JSON.parse(answer.toString());
    };
    expect(await ask(0)).toEqual({ id: 0, ok: [] });
    expect(node.upgrades.count).toBe(2);
    // It answers pings meanwhile, as every living client does.
    for (let id = 1; node.upgrades.count === 2; id++) {
      clock.advance(WRITE_TIMEOUT_MS / 10);
      await ask(id);
    }
    expect(await ask(1_000)).toEqual({ id: 1_000, ok: [] });
  });
});
