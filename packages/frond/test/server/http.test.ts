// The front door over real sockets: what a client gets when an app fails, where the bounds of limits.ts are met,
// how it stops.

import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { FrondError } from "../../src/errors.ts";
import { boundBody } from "../../src/server/door/body.ts";
import type { DoorState } from "../../src/server/door/reserved.ts";
import { exchange, gate, openDoor, rawClient } from "./doors.ts";

const CLOSE = "Host: a.example\r\nConnection: close\r\n\r\n";

describe("failures of the app", () => {
  const handlers: [string, () => Response | Promise<Response>][] = [
    [
      "a throw",
      () => {
        throw new Error("secret detail");
      },
    ],
    ["a rejection", () => Promise.reject(new Error("secret detail"))],
    ["no Response", () => "secret detail" as unknown as Response],
    ["undefined", () => undefined as unknown as Response],
    ["undefined, later", async () => undefined as unknown as Response],
    ["a status that is none", () => new Response("secret detail", { status: 42 })],
    ["a protocol switch", () => new Response("secret detail", { status: 101 })],
    ["a header that is none", () => new Response("secret detail", { headers: { "x-a": "a\r\nb: c" } })],
    [
      "a body that was read",
      async () => {
        const r = new Response("secret detail");
        await r.text();
        return r;
      },
    ],
  ];
  test.each(handlers)("%s is a 500 that says nothing of the inside", async (_name, handler) => {
    const { url, log, front } = await openDoor(handler);
    const answer = await fetch(`${url}/path?key=1`);
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).not.toContain("secret");
    const { error } = JSON.parse(text) as { error: { code: string; requestId: string } };
    expect(error.code).toBe("INTERNAL");
    expect(log).toHaveLength(1);
    expect(log[0]).toMatchObject({ level: 50, request: error.requestId, method: "GET", path: "/path", status: 500 });
    expect(log[0]!["err"]).toBeTruthy();
    await expect.poll(() => front.openRequests).toBe(0);
  });

  test("what is no Response is named in the log", async () => {
    const { url, log } = await openDoor(() => new Map() as unknown as Response);
    await fetch(url);
    const message = "the handler returned an object of class Map and not a Response";
    expect(log).toMatchObject([{ err: { message } }]);
  });

  test("an error that invites a retry is a 503 with Retry-After and its code", async () => {
    const { url } = await openDoor((request) => {
      throw new FrondError(request.url.endsWith("/full") ? "DISK_FULL" : "COMMIT_FAILED", "at /var/lib/secret");
    });
    for (const [path, code] of [
      ["/full", "DISK_FULL"],
      ["/commit", "COMMIT_FAILED"],
    ]) {
      const answer = await fetch(url + path);
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
      const text = await answer.text();
      expect(text).toContain(`"code":"${code}"`);
      expect(text).not.toContain("secret");
    }
  });

  test("a 5xx that the app answers itself is logged, a 4xx is not", async () => {
    const { url, log } = await openDoor((request) => new Response("", { status: Number(request.url.slice(-3)) }));
    await fetch(`${url}/404`);
    await fetch(`${url}/502`);
    expect(log).toMatchObject([{ level: 40, status: 502, path: "/502", request: expect.any(String) }]);
  });
});

describe("bounds", () => {
  test("a target too long is 414, a header too large 431, chatter 400: all in JSON", async () => {
    const { port, url } = await openDoor(() => new Response("ok"), { limits: { urlBytes: 100, headerBytes: 2_000 } });
    const long = await fetch(`${url}/${"x".repeat(120)}`);
    expect([long.status, ((await long.json()) as { error: { code: string } }).error.code]).toEqual([
      414,
      "URL_TOO_LONG",
    ]);
    const header = await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(3_000)}\r\n\r\n`);
    expect(header).toMatch(/^HTTP\/1\.1 431 [^]*Connection: close[^]*"HEADER_TOO_LARGE"/);
    expect(await exchange(port, "EHLO mail.example\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [^]*"BAD_REQUEST"/);
    expect((await fetch(url)).status).toBe(200);
  });

  test("a body that states too many bytes is 413 before the handler runs, and its sender can read that", async () => {
    let calls = 0;
    const { port } = await openDoor(() => new Response(String(++calls)), { limits: { bodyBytes: 1_000 } });
    const client = await rawClient(port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
    for (let i = 0; i < 20; i++) client.send("z".repeat(65_536));
    expect(await client.until(/BODY_TOO_LARGE/)).toMatch(/^HTTP\/1\.1 413 [^]*connection: close/i);
    expect(calls).toBe(0);
  });

  test("Expect: 100-continue is answered by 413 instead of 100, and by 100 when the body fits", async () => {
    const { port } = await openDoor(async (r) => new Response(await r.text()), { limits: { bodyBytes: 1_000 } });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length:";
    const refused = await rawClient(port);
    refused.send(`${head} 1001\r\n\r\n`);
    expect(await refused.until(/BODY_TOO_LARGE/)).toMatch(/^HTTP\/1\.1 413 /);
    const welcome = await rawClient(port);
    welcome.send(`${head} 3\r\n\r\n`);
    await welcome.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    welcome.send("abc");
    expect(await welcome.closed()).toMatch(/HTTP\/1\.1 200 OK[^]*abc$/);
  });

  test("a chunked body is counted as it flows: 413, and its reader sees BODY_TOO_LARGE", async () => {
    const seen = Promise.withResolvers<unknown>();
    const asked: string[] = [];
    const { port, log } = await openDoor(
      async (request) => {
        asked.push(request.url);
        try {
          return new Response(await request.text());
        } catch (error) {
          seen.resolve(error);
          throw error;
        }
      },
      { limits: { bodyBytes: 1_000 } },
    );
    const client = await rawClient(port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(`1f4\r\n${"z".repeat(500)}\r\n1f4\r\n${"z".repeat(500)}\r\n`);
    client.send(`1\r\nz\r\n`);
    expect(await client.until(/BODY_TOO_LARGE/)).toMatch(/^HTTP\/1\.1 413 [^]*connection: close/i);
    expect(await seen.promise).toMatchObject({ code: "BODY_TOO_LARGE" });
    expect(log).toEqual([]);
    // A request smuggled behind the refused body is not heard.
    client.send("0\r\n\r\nGET /again HTTP/1.1\r\nHost: a\r\n\r\n");
    client.socket.end();
    expect((await client.closed()).match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(asked).toEqual(["http://a/"]);
  });

  test("a body beyond its bound is reported once, however much follows", async () => {
    let reports = 0;
    const server = createServer((incoming, outgoing) => {
      boundBody(incoming, 3, () => reports++);
      incoming.on("error", () => {}).on("close", () => outgoing.end());
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = await rawClient((server.address() as AddressInfo).port);
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${"2\r\nab\r\n".repeat(5)}`);
    await client.until(/200 OK/);
    expect(reports).toBe(1);
    client.socket.destroy();
  });

  test("a reader of the body as a stream sees the bound too, and a body at the bound passes", async () => {
    const { url, front } = await openDoor(
      async (request) => {
        let bytes = 0;
        for await (const chunk of request.body!) bytes += (chunk as Uint8Array).length;
        return new Response(String(bytes));
      },
      { limits: { bodyBytes: 100_000 } },
    );
    const send = (bytes: number) =>
      fetch(url, { method: "POST", body: ReadableStream.from([Buffer.alloc(bytes)]), duplex: "half" } as RequestInit);
    expect(await (await send(100_000)).text()).toBe("100000");
    expect((await send(100_001)).status).toBe(413);
    await expect.poll(() => front.openRequests).toBe(0);
  });

  test("one request too many is 503 with Retry-After; the probes still answer", async () => {
    const hold = gate();
    const { url, front, log } = await openDoor(() => hold.opened.then(() => new Response("done")), {
      limits: { openRequests: 2 },
    });
    const held = [fetch(url), fetch(url)];
    await expect.poll(() => front.openRequests).toBe(2);
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await refused.json()).toMatchObject({ error: { code: "OVERLOADED", message: expect.any(String) } });
    await fetch(url);
    expect(log).toMatchObject([{ level: 40, count: 1, msg: "requests were refused: OVERLOADED" }]);
    expect((await fetch(`${url}/_frond/health`)).status).toBe(200);
    hold.open();
    for (const answer of await Promise.all(held)) expect(await answer.text()).toBe("done");
    expect((await fetch(url)).status).toBe(200);
  });

  test("a request whose client has gone stays open until its handler is done, and its answer is cancelled", async () => {
    const hold = gate();
    const cancelled = gate();
    const { url, front, log } = await openDoor(async () => {
      await hold.opened;
      return new Response(
        new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(9)), cancel: () => cancelled.open() }),
      );
    });
    const aborter = new AbortController();
    const asked = fetch(url, { signal: aborter.signal });
    await expect.poll(() => front.openRequests).toBe(1);
    aborter.abort();
    await expect(asked).rejects.toThrow("aborted");
    // Long enough for the server to see the connection close.
    await fetch(`${url}/_frond/health`);
    expect(front.openRequests).toBe(1);
    hold.open();
    await cancelled.opened;
    await expect.poll(() => front.openRequests).toBe(0);
    expect(log).toEqual([]);
  });

  test("a header that never ends is 408", async () => {
    const { port } = await openDoor(() => new Response("ok"), { limits: { headerTimeoutMs: 200 } });
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost:")).toMatch(/^HTTP\/1\.1 408 [^]*"TIMED_OUT"/);
  });

  test("a connection too many is closed unheard", async () => {
    const { port, url } = await openDoor(() => new Response("ok"), { limits: { connections: 1 } });
    const first = await rawClient(port);
    await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").catch(() => "");
    first.send(`GET / HTTP/1.1\r\n${CLOSE}`);
    expect(await first.closed()).toMatch(/^HTTP\/1\.1 200/);
    await expect.poll(async () => (await fetch(url).catch(() => undefined))?.status).toBe(200);
  });
});

describe("what is not for the app", () => {
  test.each([
    ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nConnection: close\r\n\r\n"],
    ["a host with a path", "GET / HTTP/1.1\r\nHost: a.example/x\r\nConnection: close\r\n\r\n"],
    ["a host with a user", "GET / HTTP/1.1\r\nHost: u@a.example\r\nConnection: close\r\n\r\n"],
    ["no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"],
    ["a target that is no path", "GET nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
  ])("%s: 400", async (_name, request) => {
    let calls = 0;
    const { port, front } = await openDoor(() => new Response(String(++calls)));
    expect(await exchange(port, request)).toMatch(/^HTTP\/1\.1 400 /);
    expect(calls).toBe(0);
    await expect.poll(() => front.openRequests).toBe(0);
  });

  test("a WebSocket is refused, another upgrade ignored", async () => {
    const { port } = await openDoor(() => new Response("plain"));
    const upgrade = (to: string) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: ${to}\r\n\r\n`;
    expect(await exchange(port, upgrade("websocket"))).toMatch(/^HTTP\/1\.1 501 [^]*NO_WEBSOCKET/);
    expect(await exchange(port, upgrade("h2c"))).toMatch(/^HTTP\/1\.1 200 [^]*plain$/);
  });

  test("the probes tell life from readiness, whatever the door refuses", async () => {
    let state: DoorState = { ready: false };
    const { url } = await openDoor(() => new Response("app"), { state: () => state });
    const ask = async (path: string) => {
      const answer = await fetch(url + path);
      return [answer.status, await answer.json()];
    };
    expect(await ask("/_frond/health")).toEqual([200, { alive: true }]);
    expect(await ask("/_frond/ready")).toEqual([503, { ready: false, reason: "starting" }]);
    state = { ready: true, refuse: "overloaded" };
    expect(await ask("/_frond/ready?x")).toEqual([503, { ready: false, reason: "overloaded" }]);
    expect(await ask("/_frond/health")).toEqual([200, { alive: true }]);
    expect(await ask("/")).toMatchObject([503, { error: { code: "OVERLOADED" } }]);
    state = { ready: true, refuse: "stopping" };
    expect(await ask("/")).toMatchObject([503, { error: { code: "STOPPING" } }]);
    state = { ready: true };
    expect(await ask("/_frond/ready")).toEqual([200, { ready: true }]);
    expect((await ask("/_frond/anything"))[0]).toBe(404);
    expect((await fetch(`${url}/_frond/health`, { method: "POST", body: "x" })).status).toBe(405);
    expect(await (await fetch(`${url}/_frondeur`)).text()).toBe("app");
  });

  test("an address that is taken is LISTEN_FAILED with what to do", async () => {
    const { port } = await openDoor(() => new Response("ok"));
    const second = openDoor(() => new Response("ok"), { port });
    await expect(second).rejects.toMatchObject({ code: "LISTEN_FAILED", message: expect.stringContaining("--listen") });
  });
});

describe("requests that were sent ahead of their answers", () => {
  test("are worked on one at a time, in order", async () => {
    const seen: string[] = [];
    let running = 0;
    let most = 0;
    const { port } = await openDoor(async (request) => {
      const { pathname } = new URL(request.url);
      seen.push(`${pathname}:${await request.text()}`);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return new Response(pathname);
    });
    const client = await rawClient(port);
    const get = (path: string, header = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${header}\r\n`;
    const chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    client.send(get("/a") + get("/b") + chunked + get("/_frond/health") + get("/d", "Connection: close\r\n"));
    const text = await client.closed();
    expect(text.match(/HTTP\/1\.1 200 OK/g)?.length).toBe(5);
    expect(text).toMatch(/\/a[^]*\/b[^]*\/c[^]*alive[^]*\/d$/);
    expect(seen).toEqual(["/a:", "/b:", "/c:abcde", "/d:"]);
    expect(most).toBe(1);
  });

  test("a chunked body that came early is counted whole", async () => {
    const { port } = await openDoor(async (request) => new Response((await request.text()) || "none"), {
      limits: { bodyBytes: 4 },
    });
    const client = await rawClient(port);
    const chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${chunked}`);
    await client.until(/none$/);
    client.send("2\r\nde\r\n0\r\n\r\n");
    expect(await client.closed()).toContain("HTTP/1.1 413");
  });
});

describe("stop", () => {
  test("requests in work are answered with Connection: close, idle connections end, new ones are refused", async () => {
    const hold = gate();
    const { port, front } = await openDoor((request) =>
      request.url.endsWith("/hold") ? hold.opened.then(() => new Response("held")) : new Response("now"),
    );
    const idle = await rawClient(port);
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await idle.until(/now$/);
    const fresh = await rawClient(port);
    const busy = await rawClient(port);
    busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => front.openRequests).toBe(1);
    const stopping = front.stop(30_000);
    await idle.closed();
    await expect(rawClient(port).then((c) => c.until(/x/))).rejects.toThrow("ECONNREFUSED");
    hold.open();
    expect(await busy.closed()).toMatch(/connection: close[^]*held$/i);
    await stopping;
    await fresh.closed();
  });

  test("what outlasts the grace is cut", async () => {
    const hold = gate();
    const { port, front, log } = await openDoor(() => hold.opened.then(() => new Response("late")));
    const busy = await rawClient(port);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await expect.poll(() => front.openRequests).toBe(1);
    await front.stop(50);
    expect(await busy.closed().catch(() => "")).toBe("");
    expect(log).toMatchObject([{ requests: 1 }]);
    hold.open();
  });

  test("a request without an answer yet does not hold a stop for ever, and stop can be called twice", async () => {
    const { front, url } = await openDoor(() => new Response("ok"));
    await new Promise<void>((resolve, reject) => {
      httpRequest(url, (answer) => answer.resume().on("end", resolve))
        .on("error", reject)
        .end();
    });
    await Promise.all([front.stop(1_000), front.stop(1_000)]);
    expect(front.openRequests).toBe(0);
  });
});
