// WebSockets of cells as their code sees them: accepting, hooks, tags, and what is said of mistakes.

import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import { WebSocketRequestResponsePair } from "../../src/cell/sockets.ts";
import { MAX_ATTACHMENT_BYTES, MAX_AUTO_RESPONSE_BYTES, MAX_SOCKET_TAG_LENGTH } from "../../src/limits.ts";
import type { Address } from "../../src/types.ts";
import { join, notesOf, openRooms, Room, until } from "./rooms.ts";

describe("a WebSocket of a cell", () => {
  test("carries texts and bytes both ways", async () => {
    const rooms = await openRooms({ room: Room });
    const client = await join(rooms, "/room/a");
    client.send("hello");
    client.send("größe 🌿");
    client.send("");
    client.send(new Uint8Array([1, 2, 255]));
    client.send(new Uint8Array(0));
    expect(await client.got(5)).toEqual(["hello", "größe 🌿", "", [1, 2, 255], []]);
  });

  test("works with the WebSocket of browsers and of Node", async () => {
    const rooms = await openRooms({ room: Room });
    const ws = new globalThis.WebSocket(`${rooms.url}/room/a?who=web`);
    const heard: unknown[] = [];
    ws.onmessage = ({ data }) => heard.push(data);
    await new Promise((resolve) => (ws.onopen = resolve));
    ws.send("hello");
    await until(() => heard.length === 1);
    expect(heard).toEqual(["hello"]);
    const closed = new Promise<CloseEvent>((resolve) => (ws.onclose = resolve));
    ws.close(3001, "enough");
    expect(await closed).toMatchObject({ code: 3001, reason: "enough", wasClean: true });
    expect(await notesOf(rooms, "a", 1)).toEqual(["close web 3001 enough true gone 3"]);
  });

  test("is told to all of a cell, or to those with a tag, and to no other cell", async () => {
    const rooms = await openRooms({ room: Room });
    const red = await join(rooms, "/room/a?tag=red&tag=dark");
    const blue = await join(rooms, "/room/a?tag=blue&tag=dark");
    const plain = await join(rooms, "/room/a");
    const other = await join(rooms, "/room/b?tag=red");
    plain.send("all hi");
    plain.send("to dark night");
    plain.send("to red rose");
    plain.send("to nobody hush");
    plain.send("all end");
    expect(await red.got(4)).toEqual(["hi", "night", "rose", "end"]);
    expect(await blue.got(3)).toEqual(["hi", "night", "end"]);
    expect(await plain.got(2)).toEqual(["hi", "end"]);
    other.send("only me");
    expect(await other.got(1)).toEqual(["only me"]);
    expect(await rooms.get(Room, "a").count()).toBe(3);
    expect(await rooms.get(Room, "a").count("dark")).toBe(2);
    red.ws.close();
    await red.got(5);
    await notesOf(rooms, "a", 1);
    expect(await rooms.get(Room, "a").count()).toBe(2);
    expect(await rooms.get(Room, "a").count("red")).toBe(0);
  });

  test("ends with one webSocketClose, whoever closes it, and is then no longer listed", async () => {
    const rooms = await openRooms({ room: Room });
    const one = await join(rooms, "/room/a?who=one");
    one.ws.close(4001, "bye");
    expect(await one.got(1)).toEqual(["closed 4001 bye"]);
    expect(await notesOf(rooms, "a", 1)).toEqual(["close one 4001 bye true gone 3"]);
    const two = await join(rooms, "/room/a?who=two");
    two.send("close 4002 out");
    expect(await two.got(1)).toEqual(["closed 4002 out"]);
    const three = await join(rooms, "/room/a?who=three");
    three.ws.terminate();
    const four = await join(rooms, "/room/a?who=four");
    four.ws.close();
    const notes = await notesOf(rooms, "a", 4);
    expect(notes.slice(1, 2)).toEqual(["close two 4002 out true gone 3"]);
    expect(notes.slice(2).sort()).toEqual([
      "close four 1005  true gone 3",
      "close three 1006 WebSocket disconnected without sending Close frame. false gone 3",
    ]);
  });

  test("that breaks the protocol is reported with webSocketError, before its webSocketClose", async () => {
    const rooms = await openRooms({ room: Room });
    const client = await join(rooms, "/room/a?who=bad");
    // A text frame that is not masked.
    (client.ws as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0x81, 0]));
    expect(await client.got(1)).toEqual(["closed 1002"]);
    expect(await notesOf(rooms, "a", 2)).toEqual([
      "error Invalid WebSocket frame: MASK must be set",
      "close bad 1006 WebSocket disconnected without sending Close frame. false gone 3",
    ]);
  });

  test("lives on when a hook throws, and the log says why", async () => {
    const rooms = await openRooms({ room: Room });
    const client = await join(rooms, "/room/a");
    client.send("throw it away");
    client.send("and on");
    expect(await client.got(1)).toEqual(["and on"]);
    expect(rooms.lines.join("\n")).toContain("an event of a WebSocket failed: it away");
  });

  test("may be accepted by a cell and greeted at once, from an async fetch too", async () => {
    class Greeter extends Cell {
      override async fetch(request: Request): Promise<Response> {
        const answer = this.ctx.acceptWebSocket(request, ["new"]);
        answer.webSocket?.send("welcome");
        await Promise.resolve();
        for (const one of this.ctx.getWebSockets("new")) one.send(`open ${one.readyState}`);
        return answer;
      }
    }
    const rooms = await openRooms({ greeter: Greeter });
    const client = await join(rooms, "/greeter/a");
    expect(await client.got(2)).toEqual(["welcome", "open 1"]);
  });

  test("is not there when its fetch throws or answers otherwise", async () => {
    class Fickle extends Cell {
      override fetch(request: Request): Response | Promise<Response> {
        let undone: Response | undefined;
        try {
          this.transaction(() => {
            undone = this.accept(request);
            throw new Error("taken back");
          });
        } catch {
          // The acceptance went with it, and may be made again.
        }
        if (!request.url.endsWith("undo")) this.accept(request);
        const { pathname } = new URL(request.url);
        if (pathname.endsWith("throw")) throw new Error("no");
        if (pathname.endsWith("reject")) return Promise.reject(new Error("no"));
        if (pathname.endsWith("undo")) return undone ?? new Response("never");
        return new Response(`there are ${this.ctx.getWebSockets().length}`, { status: 404 });
      }
      count(): number {
        return this.ctx.getWebSockets().length;
      }
    }
    const rooms = await openRooms({ fickle: Fickle });
    for (const [path, status] of [
      ["throw", 500],
      ["reject", 500],
      ["undo", 500],
      ["other", 404],
    ] as const) {
      await expect(join(rooms, `/fickle/a/${path}`)).rejects.toThrow(`refused ${status}`);
      await until(() => rooms.node.upgrades.count === 0);
      expect(await rooms.get(Fickle, "a").count()).toBe(0);
    }
    expect(rooms.node.host.sockets.cells).toBe(0);
  });

  test("is refused where none was asked for (426), to a page of another host (403), and beyond the limit (503)", async () => {
    class Picky extends Cell {
      override fetch(request: Request): Response {
        return this.accept(request, { origins: ["https://friend.example", "app://friend"] });
      }
    }
    const rooms = await openRooms({ picky: Picky, room: Room }, { maxSocketsPerCell: 2 });
    const plain = await fetch(`http://127.0.0.1:${rooms.port}/picky/a`);
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    await expect(join(rooms, "/picky/a", { origin: "https://evil.example" })).rejects.toThrow("refused 403");
    await expect(join(rooms, "/room/a", { origin: "https://friend.example" })).rejects.toThrow("refused 403");
    await join(rooms, "/picky/a", { origin: "https://friend.example" });
    const second = await join(rooms, "/picky/a", { origin: `http://127.0.0.1:${rooms.port}` });
    await expect(join(rooms, "/picky/a")).rejects.toThrow("refused 503");
    await join(rooms, "/picky/b");
    await join(rooms, "/picky/c", { origin: "app://friend" });
    for (const other of ["app://foe", "chrome-extension://friend", "null", `app://127.0.0.1:${rooms.port}`]) {
      await expect(join(rooms, "/picky/c", { origin: other }), other).rejects.toThrow("refused 403");
    }
    second.ws.close();
    await second.got(1);
    await join(rooms, "/picky/a");
  });
});

describe("what is wrong with a socket is said where it is done", () => {
  class Wrong extends Cell {
    override fetch(request: Request): Response {
      return this.accept(request);
    }
    override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): void {
      const tries: Record<string, () => unknown> = {
        "send nothing": () => ws.send(undefined as unknown as string),
        "send too much": () => ws.send(new Uint8Array(4 * 1024 * 1024 + 1)),
        "bad code": () => ws.close(1005),
        "high code": () => ws.close(5000),
        "reason alone": () => ws.close(undefined, "why"),
        "long reason": () => ws.close(1000, "x".repeat(124)),
        "no clone": () => ws.serializeAttachment(() => {}),
        large: () => ws.serializeAttachment("x".repeat(MAX_ATTACHMENT_BYTES)),
        "no socket": () => this.ctx.getTags({} as CellSocket),
        "no pair": () => this.ctx.setWebSocketAutoResponse("ping" as unknown as WebSocketRequestResponsePair),
        "large request": () => new WebSocketRequestResponsePair("x".repeat(MAX_AUTO_RESPONSE_BYTES + 1), ""),
        "after close": () => {
          ws.close(1000);
          ws.close(4000, "a second one means nothing");
          ws.send("late");
        },
      };
      try {
        tries[message as string]?.();
      } catch (error) {
        const { code, message: why } = error as { code: string; message: string };
        if (ws.readyState === 1) ws.send(`${code} ${why}`);
        else Wrong.last = `${code} ${why}`;
      }
    }
    static last = "";
  }

  test("with codes of frond and the texts of a Durable Object", async () => {
    const rooms = await openRooms({ wrong: Wrong });
    const client = await join(rooms, "/wrong/a");
    const tries = ["send nothing", "send too much", "bad code", "high code", "reason alone", "long reason", "no clone"];
    for (const one of [...tries, "large", "no socket", "no pair", "large request"]) client.send(one);
    const got = await client.got(11);
    expect(got).toEqual([
      "BAD_VALUE a WebSocket sends a string, an ArrayBuffer or a view, not undefined",
      "MESSAGE_TOO_LARGE send() got 4194305 bytes; a socket takes a message of at most 4194304",
      "BAD_OPTION Invalid WebSocket close code: 1005.",
      "BAD_OPTION Invalid WebSocket close code: 5000.",
      "BAD_OPTION If you specify a WebSocket close reason, you must also specify a code.",
      "BAD_OPTION WebSocket close reason must not be longer than 123 bytes when UTF-8 encoded.",
      "NOT_CLONEABLE this cannot be attached to a WebSocket: () => {} could not be cloned.",
      expect.stringContaining("ATTACHMENT_TOO_LARGE A WebSocket 'attachment' cannot be larger than 16384 bytes."),
      "BAD_OPTION this is no WebSocket that a cell has accepted",
      "BAD_OPTION setWebSocketAutoResponse takes a WebSocketRequestResponsePair",
      "BAD_OPTION Request cannot be larger than 2048 bytes. A request of size 2049 was provided.",
    ]);
    client.send("after close");
    expect((await client.got(12))[11]).toBe("closed 1000");
    expect(Wrong.last).toBe("SOCKET_CLOSED Can't call WebSocket send() after close().");
  });

  test("options that mean nothing refuse the request", async () => {
    class Options extends Cell {
      override fetch(request: Request): Response {
        const { searchParams } = new URL(request.url);
        const options = JSON.parse(searchParams.get("options") ?? "");
        if (options.attachment) options.attachment = "x".repeat(options.attachment);
        return this.accept(request, options);
      }
    }
    const rooms = await openRooms({ options: Options });
    const fits = { tags: Array.from({ length: 10 }, (_, i) => `${i}`.padEnd(MAX_SOCKET_TAG_LENGTH, "x")) };
    await join(rooms, `/options/a?options=${JSON.stringify(fits)}`);
    for (const wrong of [
      { tags: Array.from({ length: 11 }, (_, i) => `${i}`) },
      { tags: ["x".repeat(MAX_SOCKET_TAG_LENGTH + 1)] },
      { tags: "red" },
      { tag: ["red"] },
      { origins: "https://friend.example" },
      { origins: ["friend.example"] },
      { attachment: MAX_ATTACHMENT_BYTES },
    ]) {
      await expect(join(rooms, `/options/a?options=${JSON.stringify(wrong)}`)).rejects.toThrow("refused 500");
    }
    const open = rooms.node.host.openCell("options/a" as Address);
    expect(open?.instance.ctx.getWebSockets().length).toBe(1);
  });
});
