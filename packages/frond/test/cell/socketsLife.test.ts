// The life of a socket beside that of its cell: sleep, failures, deletion, attachments, automatic answers.

import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import { WebSocketRequestResponsePair } from "../../src/cell/sockets.ts";
import { FakeClock } from "../../src/clock.ts";
import { failureOf } from "./nodes.ts";
import { type Client, deactivate, join, notesOf, openRooms, Room, until } from "./rooms.ts";

describe("a socket and its cell", () => {
  test("a socket outlives the instance of its cell; a message opens it again, with tags and attachment", async () => {
    const rooms = await openRooms({ room: Room }, { maxOpenCells: 4 });
    const client = await join(rooms, "/room/sleepy?who=me&tag=t");
    client.send("who");
    client.send("am other");
    client.send("echo");
    await client.got(2);
    const before = Room.instances;
    await deactivate(rooms, "room/sleepy");
    client.send("who");
    expect(await client.got(3)).toEqual([`[{"who":"me"},["t"]]`, "echo", `[{"who":"other"},["t"]]`]);
    expect(Room.instances).toBeGreaterThan(before);
    await deactivate(rooms, "room/sleepy");
    client.ws.close(4000, "night");
    expect(await notesOf(rooms, "sleepy", 1)).toEqual(["close other 4000 night true gone 3"]);
  });

  test("idle sockets cost no open cell, and an address without sockets is forgotten", async () => {
    const rooms = await openRooms({ room: Room }, { maxOpenCells: 4 });
    const clients: Client[] = [];
    for (let i = 0; i < 40; i++) clients.push(await join(rooms, `/room/${i}?who=${i}`));
    expect(rooms.node.host.openCells).toBeLessThanOrEqual(5);
    expect(rooms.node.host.sockets.cells).toBe(40);
    for (const [i, client] of clients.entries()) client.send(`I am ${i}`);
    for (const [i, client] of clients.entries()) expect(await client.got(1)).toEqual([`I am ${i}`]);
    for (const { ws } of clients) ws.close();
    await until(() => rooms.node.host.sockets.cells === 0);
  });

  test("a constructor finds the sockets of its cell and may send; what it sends before it throws never leaves", async () => {
    class Waking extends Cell {
      static fails = false;
      constructor(ctx: Cell["ctx"]) {
        super(ctx);
        for (const one of this.ctx.getWebSockets()) one.send(Waking.fails ? "never" : "awake");
        if (!Waking.fails) return;
        Waking.fails = false;
        throw new Error("not now");
      }
      override fetch(request: Request): Response {
        return this.accept(request);
      }
      override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): void {
        ws.send(message);
      }
      hello(): void {}
    }
    const rooms = await openRooms({ waking: Waking, room: Room }, { maxOpenCells: 4 });
    const client = await join(rooms, "/waking/a");
    await deactivate(rooms, "waking/a");
    Waking.fails = true;
    await failureOf(rooms.get(Waking, "a").hello());
    client.send("hello");
    expect(await client.got(2)).toEqual(["awake", "hello"]);
  });

  test("sockets outlive ctx.abort, deleteAll and the failure of a commit", async () => {
    class Shaky extends Cell {
      field = 0;
      override fetch(request: Request): Response {
        return this.accept(request);
      }
      override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): void {
        this.field += 1;
        if (message === "abort") this.ctx.abort("enough");
        if (message === "forget") return void this.ctx.storage.deleteAll();
        if (message === "large") {
          this.sql`CREATE TABLE large (bytes BLOB) STRICT`;
          this.sql`INSERT INTO large VALUES (zeroblob(40000000))`;
        }
        ws.send(`${message} ${this.field}`);
      }
    }
    const rooms = await openRooms({ shaky: Shaky });
    const client = await join(rooms, "/shaky/a");
    client.send("one");
    client.send("two");
    client.send("abort");
    client.send("three");
    expect(await client.got(3)).toEqual(["one 1", "two 2", "three 1"]);
    client.send("forget");
    client.send("after");
    expect(await client.got(4)).toEqual(["one 1", "two 2", "three 1", "after 3"]);
    client.send("large");
    client.send("four");
    expect((await client.got(5))[4]).toBe("four 1");
  });

  test("frond delete closes the sockets of its cell with 1001, and no hook hears of it", async () => {
    const rooms = await openRooms({ room: Room });
    const deleted = await join(rooms, "/room/a?who=ann");
    const other = await join(rooms, "/room/b?who=ben");
    const a = rooms.get(Room, "a");
    await a.note("there");
    await rooms.node.control.delete("room/a");
    expect(await a.count()).toBe(0);
    expect(await deleted.got(1)).toEqual(["closed 1001 this cell was deleted"]);
    await until(() => rooms.node.upgrades.count === 1);
    // A farewell that the hook had noted would have made the cell begin again.
    expect(await a.notes()).toEqual([]);
    expect(rooms.node.control.cells(undefined, 10)).toEqual([]);
    other.send("still");
    expect(await other.got(1)).toEqual(["still"]);
  });

  test("a text is answered without the cell, however it sleeps, and only on an exact match", async () => {
    class Auto extends Cell {
      static woken = 0;
      constructor(ctx: Cell["ctx"]) {
        super(ctx);
        Auto.woken += 1;
        this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
      }
      override fetch(request: Request): Response {
        return this.accept(request);
      }
      override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): void {
        if (message === "off") this.ctx.setWebSocketAutoResponse();
        if (message === "now") this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("now", "then"));
        const pair = this.ctx.getWebSocketAutoResponse();
        const at = this.ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime();
        ws.send(`${typeof message === "string" ? message : "bytes"} ${pair?.request ?? "none"} ${at ?? "never"}`);
      }
    }
    const clock = new FakeClock(1_000);
    const rooms = await openRooms({ auto: Auto }, { clock, maxOpenCells: 4 });
    const client = await join(rooms, "/auto/a");
    client.send("first");
    await client.got(1);
    await deactivate(rooms, "auto/a");
    const woken = Auto.woken;
    clock.advance(500);
    client.send("ping");
    await client.got(2);
    expect(Auto.woken).toBe(woken);
    client.send("Ping");
    client.send(Buffer.from("ping"));
    client.send("now");
    client.send("now");
    client.send("ping");
    client.send("off");
    client.send("late");
    expect(await client.got(9)).toEqual([
      "first ping never",
      "pong",
      "Ping ping 1500",
      "bytes ping 1500",
      "now now 1500",
      "then",
      "ping now 1500",
      "off none 1500",
      "late none 1500",
    ]);
  });

  test("a class without the hook is not woken", async () => {
    class Deaf extends Cell {
      static woken = 0;
      constructor(ctx: Cell["ctx"]) {
        super(ctx);
        Deaf.woken += 1;
      }
      override fetch(request: Request): Response {
        return this.accept(request);
      }
    }
    const rooms = await openRooms({ deaf: Deaf, room: Room }, { maxOpenCells: 4 });
    const client = await join(rooms, "/deaf/a");
    await deactivate(rooms, "deaf/a");
    const woken = Deaf.woken;
    client.send("hello?");
    client.ws.close();
    await client.got(1);
    await until(() => rooms.node.host.sockets.cells === 0);
    expect(Deaf.woken).toBe(woken);
  });

  test("two cells are never confused: getWebSockets of one never shows the other's", async () => {
    const rooms = await openRooms({ room: Room, hall: class extends Room {} });
    await join(rooms, "/room/a");
    await join(rooms, "/hall/a");
    await join(rooms, "/hall/a");
    expect(await rooms.get(Room, "a").count()).toBe(1);
    expect(
      await failureOf(
        rooms
          .get(Room, "b")
          .count()
          .then((count) => Promise.reject(new Error(`${count}`))),
      ),
    ).toMatchObject({
      message: "0",
    });
  });
});
