// The way of a request for a WebSocket through the front door: accepted, answered otherwise, refused, cut.

import { createHash } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { FakeClock } from "../../src/clock.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_SOCKET_MESSAGE_BYTES, SOCKET_MISSED_PONGS, SOCKET_PING_MS } from "../../src/limits.ts";
import type { Connection, ConnectionOwner } from "../../src/server/door/connection.ts";
import type { HttpHandler, HttpOptions } from "../../src/server/door/http.ts";
import { Upgrades } from "../../src/server/door/upgrade.ts";
import { type Door, gate, openDoor, rawClient } from "./doors.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const HANDSHAKE = [
  "GET /chat HTTP/1.1",
  "Host: example.test",
  "Connection: keep-alive, Upgrade",
  "Upgrade: WebSocket",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${KEY}`,
];

/** A handshake with lines replaced (same name) or added. */
function handshake(...lines: string[]): string {
  const name = (line: string): string => line.split(/[ :]/)[0]?.toLowerCase() ?? "";
  const kept = HANDSHAKE.filter((line) => !lines.some((other) => name(other) === name(line)));
  const all = [...kept, ...lines].filter((line) => !line.endsWith(":"));
  all.sort((a, b) => Number(b.includes("HTTP/1.1")) - Number(a.includes("HTTP/1.1")));
  return `${all.join("\r\n")}\r\n\r\n`;
}

interface Sockets extends Door {
  readonly upgrades: Upgrades;
  readonly clock: FakeClock;
  /** What happened to those who accepted. */
  readonly events: string[];
  readonly connections: Connection[];
}

type Answer = (request: Request, accept: (request: Request) => Response) => Response | Promise<Response>;

/** A front door that accepts and echoes, or answers what `answer` says. */
async function openSockets(answer?: Answer, options: Partial<HttpOptions> & { origins?: string[] } = {}) {
  const clock = new FakeClock();
  const upgrades = new Upgrades(clock);
  const events: string[] = [];
  const connections: Connection[] = [];
  const accept = (request: Request): Response => {
    const upgrade = upgrades.pending(request);
    if (upgrade === undefined) return new Response("no upgrade", { status: 426 });
    if (!upgrade.allows(options.origins)) return new Response("foreign", { status: 403 });
    return upgrade.accept({
      protocol: "chat.2",
      opened(ws) {
        events.push("opened");
        ws.on("pong", () => events.push("pong"));
        const owner: ConnectionOwner = {
          message: (data) => connection.send(Buffer.from(data as string), typeof data === "string"),
          failed: (error) => events.push(`failed ${(error as { code?: string }).code}`),
          ended: (code, reason, wasClean) => events.push(`ended ${code} ${reason} ${wasClean}`),
          stopping: (code, reason) => connection.close(code, reason),
        };
        const connection = upgrades.connections.open(ws, owner);
        connections.push(connection);
      },
      dropped: () => events.push("dropped"),
    });
  };
  const handler: HttpHandler = (request) => (answer ?? ((one, then) => then(one)))(request, accept);
  const door = await openDoor(handler, { upgrades, ...options });
  return { ...door, upgrades, clock, events, connections } satisfies Sockets;
}

/** A client that is open. */
async function client(door: Door, protocols: string[] = []): Promise<WebSocket> {
  const ws = new WebSocket(`${door.url.replace("http", "ws")}/chat`, protocols);
  onTestFinished(() => ws.terminate());
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  return ws;
}

function next(ws: WebSocket): Promise<string> {
  return new Promise((resolve) => ws.once("message", (data) => resolve(String(data))));
}

function closeOf(ws: WebSocket): Promise<[number, string]> {
  return new Promise((resolve) => ws.once("close", (code, reason) => resolve([code, String(reason)])));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("a request for a WebSocket", () => {
  test("opens a connection when the answer that accepts it leaves, and what was sent early is read", async () => {
    const ready = gate();
    const door = await openSockets(async (request, accept) => {
      const response = accept(request);
      await ready.opened;
      return response;
    });
    const raw = await rawClient(door.port);
    // "hi" as a masked text frame, behind the request, before any answer.
    raw.send(`${handshake()}\x81\x82\0\0\0\0hi`);
    await until(() => door.upgrades.count === 1);
    expect(door.events).toEqual([]);
    expect(raw.text()).toBe("");
    ready.open();
    const digest = createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    // oxlint-disable-next-line no-control-regex
    const head = await raw.until(/\r\n\r\n\x81\x02hi$/);
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toContain(`Sec-WebSocket-Accept: ${digest}\r\n`);
    expect(head).not.toMatch(/frond-upgrade|content-length/i);
    expect(door.front.openRequests).toBe(0);
    raw.socket.destroy();
    await until(() => door.upgrades.count === 0);
    expect(door.events.at(-1)).toBe("ended 1006 WebSocket disconnected without sending Close frame. false");
  });

  test("may be accepted through a copy of it, and the answer may be copied and given headers", async () => {
    const door = await openSockets((request, accept) => {
      const response = accept(new Request("http://cell/inner", request));
      const copy = new Response(response.body, response);
      copy.headers.append("set-cookie", "a=1");
      copy.headers.append("set-cookie", "b=2");
      return copy;
    });
    const raw = await rawClient(door.port);
    raw.send(handshake());
    const head = await raw.until(/\r\n\r\n/);
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/);
    expect(door.events).toEqual(["opened"]);
  });

  test("agrees on the subprotocol that was accepted if the client offers it, and on no other", async () => {
    const door = await openSockets();
    expect((await client(door, ["chat.1", "chat.2"])).protocol).toBe("chat.2");
    expect((await client(door)).protocol).toBe("");
    const raw = await rawClient(door.port);
    raw.send(handshake("Sec-WebSocket-Protocol: chat.1"));
    expect(await raw.until(/\r\n\r\n/)).not.toMatch(/sec-websocket-protocol/i);
  });

  test("that gets another answer gets that one, and the connection is closed", async () => {
    const body = "x".repeat(300_000);
    const door = await openSockets((request, accept) => {
      accept(request);
      return new Response(new Blob([body]).stream(), { status: 404 });
    });
    const raw = await rawClient(door.port);
    raw.send(handshake());
    const text = await raw.closed();
    expect(text).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(text.match(/x{50}/g)?.length).toBeGreaterThan(5_000);
    expect(text).toMatch(/connection: close/i);
    expect(door.events).toEqual(["dropped"]);
    expect(door.upgrades.count).toBe(0);
    await until(() => door.front.openRequests === 0);
  });

  test("whose handler fails is answered like every request", async () => {
    const door = await openSockets((request, accept) => {
      accept(request);
      throw new FrondError("OVERLOADED", "no room");
    });
    const raw = await rawClient(door.port);
    raw.send(handshake());
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 503 [^]*"code":"OVERLOADED"/);
    expect(door.events).toEqual(["dropped"]);
  });

  test("whose client goes away before the answer is dropped", async () => {
    const ready = gate();
    const door = await openSockets(async (request, accept) => {
      const response = accept(request);
      await ready.opened;
      return response;
    });
    const raw = await rawClient(door.port);
    raw.send(handshake());
    await until(() => door.upgrades.count === 1);
    raw.socket.resetAndDestroy();
    await until(() => door.events.length > 0);
    ready.open();
    await until(() => door.front.openRequests === 0);
    expect(door.events).toEqual(["dropped"]);
  });

  test("is named by this process alone: a name that the client made up means nothing", async () => {
    let seen: string | null = "";
    const door = await openSockets((request, accept) => {
      seen = new Request("http://cell/", request).headers.get("frond-upgrade");
      return accept(request);
    });
    const raw = await rawClient(door.port);
    raw.send(handshake("Frond-Upgrade: mine"));
    await raw.until(/ 101 /);
    expect(seen).toMatch(/^[\da-f-]{36}$/);
    const plain = await fetch(door.url, { headers: { "frond-upgrade": seen } });
    expect(plain.status).toBe(426);
  });
});

describe("a page of another host", () => {
  const answerTo = async (door: Door, ...lines: string[]): Promise<string> => {
    const raw = await rawClient(door.port);
    raw.send(handshake(...lines));
    const status = (await raw.until(/^HTTP\/1\.1 \d{3}/)).slice(9, 12);
    raw.socket.destroy();
    return status;
  };

  test("opens nothing unless its origin is allowed", async () => {
    const door = await openSockets(undefined, { origins: ["https://app.example.com"] });
    expect(await answerTo(door)).toBe("101");
    expect(await answerTo(door, "Origin: http://example.test")).toBe("101");
    expect(await answerTo(door, "Origin: https://example.test")).toBe("101");
    expect(await answerTo(door, "Origin: https://app.example.com")).toBe("101");
    expect(await answerTo(door, "Origin: http://app.example.com")).toBe("403");
    expect(await answerTo(door, "Origin: http://example.test:81")).toBe("403");
    expect(await answerTo(door, "Origin: http://example.test.evil.test")).toBe("403");
    expect(await answerTo(door, "Origin: null")).toBe("403");
    expect(await answerTo(door, "Origin: ")).toBe("403");
  });

  test("is measured by the host that a trusted proxy states", async () => {
    const door = await openSockets(undefined, { trustProxy: () => true });
    const forwarded = ["X-Forwarded-Host: app.example.com", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.0.0.1"];
    expect(await answerTo(door, ...forwarded, "Origin: https://app.example.com")).toBe("101");
    expect(await answerTo(door, ...forwarded, "Origin: http://example.test")).toBe("403");
    // Behind TLS a page without it is another one: anybody on its way may have written it.
    expect(await answerTo(door, ...forwarded, "Origin: http://app.example.com")).toBe("403");
  });
});

describe("what is no handshake", () => {
  test.each([
    ["another version", "Sec-WebSocket-Version: 8", /^HTTP\/1\.1 426 [^]*sec-websocket-version: 13/i],
    ["no version", "Sec-WebSocket-Version:", /^HTTP\/1\.1 426 /],
    ["no key", "Sec-WebSocket-Key:", /^HTTP\/1\.1 400 /],
    ["a bad key", "Sec-WebSocket-Key: abc", /^HTTP\/1\.1 400 /],
    ["a body", "Content-Length: 3", /^HTTP\/1\.1 400 /],
    ["a chunked body", "Transfer-Encoding: chunked", /^HTTP\/1\.1 400 /],
    ["another method", "POST /chat HTTP/1.1", /^HTTP\/1\.1 400 /],
    ["two hosts", "Host: a\r\nHost: b", /^HTTP\/1\.1 400 /],
    ["a target that is no path", "GET http:// HTTP/1.1", /^HTTP\/1\.1 400 /],
  ])("is refused before the app sees it: %s", async (_what, line, answer) => {
    let asked = 0;
    const door = await openSockets((request, accept) => {
      asked++;
      return accept(request);
    });
    const raw = await rawClient(door.port);
    raw.send(handshake(line));
    expect(await raw.closed()).toMatch(answer);
    expect(asked).toBe(0);
    expect(door.upgrades.count).toBe(0);
  });

  test("is answered though its client goes on sending", async () => {
    const door = await openSockets();
    const raw = await rawClient(door.port);
    raw.send(`${handshake("Sec-WebSocket-Version: 8")}${"x".repeat(3_000_000)}`);
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 426 [^]*BAD_HANDSHAKE/);
  });

  test("protocols that are no list are refused, and nobody is left waiting", async () => {
    const door = await openSockets();
    const raw = await rawClient(door.port);
    raw.send(handshake("Sec-WebSocket-Protocol: a,,b"));
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 400 /);
    expect(door.events).toEqual(["dropped"]);
    expect(door.upgrades.count).toBe(0);
  });

  test("another upgrade is answered as if it had not been asked for", async () => {
    const door = await openSockets(() => new Response("plain"));
    const raw = await rawClient(door.port);
    raw.send(handshake("Upgrade: h2c"));
    expect(await raw.until(/plain$/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("one behind a request that is not answered yet cuts the connection", async () => {
    const door = await openSockets();
    const raw = await rawClient(door.port);
    raw.send(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${handshake()}`);
    expect(await raw.closed()).not.toMatch(/101/);
    const later = await rawClient(door.port);
    later.send("GET /_frond/health HTTP/1.1\r\nHost: a\r\n\r\n");
    await later.until(/alive/);
    later.send(handshake());
    expect(await later.until(/101/)).toMatch(/ 101 /);
  });

  test("reserved paths answer it in their own way", async () => {
    const door = await openSockets();
    const raw = await rawClient(door.port);
    raw.send(handshake("GET /_frond/nothing HTTP/1.1"));
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 404 /);
  });

  test("without a taker of upgrades the front door refuses", async () => {
    const door = await openDoor(() => new Response("never"));
    const raw = await rawClient(door.port);
    raw.send(handshake());
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 501 [^]*NO_WEBSOCKET/);
  });
});

describe("an open connection", () => {
  test.each([
    ["a frame that is not masked", "\x81\x02hi", "WS_ERR_EXPECTED_MASK", 1002],
    ["reserved bits", "\xf1\x82\0\0\0\0hi", "WS_ERR_UNEXPECTED_RSV_2_3", 1002],
    ["an unknown opcode", "\x83\x82\0\0\0\0hi", "WS_ERR_INVALID_OPCODE", 1002],
    ["a continuation of nothing", "\x80\x82\0\0\0\0hi", "WS_ERR_INVALID_OPCODE", 1002],
    ["a control frame in parts", "\x09\x82\0\0\0\0hi", "WS_ERR_EXPECTED_FIN", 1002],
    ["text that is no text", "\x81\x81\0\0\0\0\xff", "WS_ERR_INVALID_UTF8", 1007],
    ["a length of 2^63", "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH", 1009],
    ["a close code that is none", "\x88\x82\0\0\0\0\x03\xed", "WS_ERR_INVALID_CLOSE_CODE", 1002],
  ])("that breaks the protocol is closed, and only that one: %s", async (_what, frame, failure, code) => {
    const door = await openSockets();
    const raw = await rawClient(door.port);
    raw.send(handshake());
    await raw.until(/\r\n\r\n/);
    raw.send(frame);
    // oxlint-disable-next-line no-control-regex
    const text = await raw.until(/\x88\x02..$/s);
    expect(Buffer.from(text.slice(-2), "latin1").readUInt16BE()).toBe(code);
    raw.socket.destroy();
    await until(() => door.events.length === 3);
    expect(door.events[1]).toBe(`failed ${failure}`);
    const ws = await client(door);
    ws.send("still here");
    expect(await next(ws)).toBe("still here");
  });

  test("takes a message of the largest size, and is closed with 1009 above it", async () => {
    const door = await openSockets();
    const ws = await client(door);
    ws.send("x".repeat(MAX_SOCKET_MESSAGE_BYTES));
    expect((await next(ws)).length).toBe(MAX_SOCKET_MESSAGE_BYTES);
    ws.on("error", () => {});
    ws.send("x".repeat(MAX_SOCKET_MESSAGE_BYTES + 1));
    expect((await closeOf(ws))[0]).toBe(1009);
    await until(() => door.events.length === 3);
    expect(door.events[1]).toBe("failed WS_ERR_UNSUPPORTED_MESSAGE_LENGTH");
  });

  test("that does not answer pings is cut, one that does lives on", async () => {
    const door = await openSockets();
    const alive = await client(door);
    const silent = await rawClient(door.port);
    silent.send(handshake());
    await silent.until(/\r\n\r\n/);
    let pings = 0;
    alive.on("ping", () => pings++);
    for (let round = 1; round <= SOCKET_MISSED_PONGS + 1; round++) {
      door.clock.advance(SOCKET_PING_MS);
      if (round <= SOCKET_MISSED_PONGS) await silent.until(new RegExp(`(\x89\x00){${round}}$`));
      await until(() => pings === round && door.events.filter((event) => event === "pong").length === round);
    }
    await silent.closed();
    expect(door.upgrades.count).toBe(1);
    expect(door.events.filter((event) => event !== "pong")).toEqual([
      "opened",
      "opened",
      "ended 1006 WebSocket disconnected without sending Close frame. false",
    ]);
  });

  test("counts as a connection, and is refused where sockets have taken their share", async () => {
    const door = await openSockets(undefined, { limits: { sockets: 2 } });
    await client(door);
    const second = await client(door);
    const raw = await rawClient(door.port);
    raw.send(handshake());
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 503 [^]*OVERLOADED/);
    expect((await fetch(`${door.url}/_frond/health`)).status).toBe(200);
    second.close();
    await until(() => door.upgrades.count === 1);
    await client(door);
  });
});

describe("a stop", () => {
  test("closes all with 1012, cuts those that do not answer, and waits for neither as for a request", async () => {
    const door = await openSockets();
    const ws = await client(door);
    const deaf = await rawClient(door.port);
    deaf.send(handshake());
    await deaf.until(/\r\n\r\n/);
    const closed = closeOf(ws);
    await door.front.stop(60_000);
    expect(await closed).toEqual([1012, "the node is restarting"]);
    expect(await deaf.closed()).toContain("\x88\x18\x03\xf4the node is restarting");
    expect(door.upgrades.count).toBe(0);
  });

  test("refuses what was accepted and not answered", async () => {
    const ready = gate();
    const door = await openSockets(async (request, accept) => {
      const response = accept(request);
      await ready.opened;
      return response;
    });
    const raw = await rawClient(door.port);
    raw.send(handshake());
    await until(() => door.upgrades.count === 1);
    const stopped = door.front.stop(60_000);
    ready.open();
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 503 [^]*STOPPING/);
    await stopped;
    expect(door.events).toEqual(["dropped"]);
  });

  test("cuts what is never answered when its grace has passed", async () => {
    const door = await openSockets(() => new Promise(() => {}));
    const socket = connect(door.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});
    socket.write(handshake());
    await until(() => door.upgrades.count === 1);
    await door.front.stop(20);
    await closed;
  });
});
