// When events of sockets begin: in their order, behind the gate of their cell, as fast as it takes them.

import { describe, expect, test } from "vitest";
import type { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import { FakeClock } from "../../src/clock.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_SOCKET_EVENTS, SOCKET_RETRY_FOR_MS } from "../../src/limits.ts";
import type { Address } from "../../src/types.ts";
import { turns } from "./nodes.ts";
import { Book, join, openRooms, soFar, until } from "./rooms.ts";

type Socket = CellSocket;
type Message = string | ArrayBuffer;

describe("events", () => {
  test("those of one socket begin in their order, those of several interleave, and none waits for an async one to end", async () => {
    const began: string[] = [];
    const ends: (() => void)[] = [];
    class Slow extends Book {
      override async webSocketMessage(ws: Socket, message: Message): Promise<void> {
        began.push(String(message));
        await new Promise<void>((resolve) => ends.push(resolve));
        ws.send(String(message));
      }
    }
    const rooms = await openRooms({ slow: Slow });
    const one = await join(rooms, "/slow/a");
    const two = await join(rooms, "/slow/a");
    for (let i = 0; i < 20; i++) {
      one.send(`1-${i}`);
      two.send(`2-${i}`);
    }
    await until(() => began.length === 40);
    const of = (who: string): string[] => began.filter((name) => name.startsWith(who));
    const order = Array.from({ length: 20 }, (_, i) => i);
    expect(of("1")).toEqual(order.map((i) => `1-${i}`));
    expect(of("2")).toEqual(order.map((i) => `2-${i}`));
    for (const end of ends.toReversed()) end();
    expect((await one.got(20)).toSorted()).toEqual(of("1").toSorted());
  });

  test("they wait while the cell has its gate closed, in order, and for nothing else", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    class Closed extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        if (message === "block") void this.ctx.blockConcurrencyWhile(() => promise);
        ws.send(`${message} heard`);
      }
    }
    const rooms = await openRooms({ closed: Closed });
    const client = await join(rooms, "/closed/a");
    const other = await join(rooms, "/closed/b");
    for (const message of ["block", "1", "2", "3"]) client.send(message);
    other.send("free");
    expect(await other.got(1)).toEqual(["free heard"]);
    expect(await soFar(client)).toEqual(["block heard"]);
    client.ws.ping();
    await new Promise((done) => client.ws.once("pong", done));
    resolve();
    expect(await client.got(4)).toEqual(["block heard", "1 heard", "2 heard", "3 heard"]);
  });

  test("a socket whose cell is slow is read no further, and loses nothing", async () => {
    const most = { open: 0, seen: 0 };
    const ends: (() => void)[] = [];
    let all = false;
    class Slow extends Book {
      override async webSocketMessage(ws: Socket, message: Message): Promise<void> {
        most.seen = Math.max(most.seen, ++most.open);
        if (!all) await new Promise<void>((resolve) => ends.push(resolve));
        most.open -= 1;
        ws.send(
          (message as ArrayBuffer).byteLength === 16_384 ? String(new Uint32Array(message as ArrayBuffer)[0]) : "?",
        );
      }
    }
    const rooms = await openRooms({ slow: Slow });
    const client = await join(rooms, "/slow/a");
    // 16 KiB each: what one read of the connection brings beyond the limit is a handful.
    const count = 2_000;
    for (let i = 0; i < count; i++) {
      const bytes = new Uint32Array(4_096);
      bytes[0] = i;
      client.send(new Uint8Array(bytes.buffer));
    }
    await until(() => ends.length >= MAX_SOCKET_EVENTS);
    await turns(50);
    const held = client.ws.bufferedAmount;
    expect(held).toBeGreaterThan(0);
    expect(most.seen).toBeLessThanOrEqual(MAX_SOCKET_EVENTS + 8);
    all = true;
    for (const end of ends) end();
    const got = await client.got(count);
    expect(got.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
  });

  test("a client that does not read is cut at the limit, the others hear everything", async () => {
    const closes: string[] = [];
    class Loud extends Book {
      override webSocketMessage(_ws: Socket, message: Message): void {
        for (const one of this.ctx.getWebSockets()) one.send(`${message}`.padEnd(60_000, "."));
      }
      override webSocketClose(_ws: Socket, code: number, _reason: string, wasClean: boolean): void {
        closes.push(`${code} ${wasClean}`);
      }
    }
    const rooms = await openRooms({ loud: Loud });
    const deaf = await join(rooms, "/loud/a");
    deaf.ws.pause();
    const client = await join(rooms, "/loud/a");
    let sent = 0;
    while (closes.length === 0) {
      client.send(`${sent++}`);
      await client.got(sent);
    }
    expect(closes).toEqual(["1006 false"]);
    // 4 MiB in this process, and what the system holds for the connection.
    expect(sent).toBeGreaterThan(4_000_000 / 60_000);
    expect(client.received.map((text) => String(text).replace(/\.+$/, ""))).toEqual(
      Array.from({ length: sent }, (_, i) => `${i}`),
    );
    expect(rooms.node.upgrades.count).toBe(1);
  });

  test("an event whose cell does not open ends its socket with 1011, and the log says why", async () => {
    let fails = 0;
    const heard: unknown[] = [];
    class Fragile extends Book {
      constructor(ctx: Cell["ctx"]) {
        super(ctx);
        if (fails-- > 0) throw new Error("it does not open");
      }
      override webSocketMessage(ws: Socket, message: Message): void {
        heard.push(message);
        if (message === "abort") this.ctx.abort();
        ws.send(message);
      }
    }
    const rooms = await openRooms({ fragile: Fragile });
    const client = await join(rooms, "/fragile/a");
    client.send("one");
    await client.got(1);
    fails = 1;
    client.send("abort");
    await until(() => rooms.node.host.openCell("fragile/a" as Address) === undefined);
    // It does not know of the end when it sends the last one.
    client.ws.pause();
    client.send("two");
    client.send("three");
    await until(() => fails <= 0);
    await turns();
    client.send("four");
    await turns();
    client.ws.resume();
    expect(await client.got(2)).toEqual(["one", "closed 1011 this failed"]);
    const again = await join(rooms, "/fragile/a");
    again.send("five");
    expect(await again.got(1)).toEqual(["five"]);
    // What came behind the message that was lost was lost with it.
    expect(heard).toEqual(["one", "abort", "five"]);
  });

  test("a message that was not taken, though it may be later, ends its socket with 1013", async () => {
    class Full extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        if (message === "write") throw new FrondError("DISK_FULL", "no space for it");
        ws.send(message);
      }
    }
    const rooms = await openRooms({ full: Full });
    const client = await join(rooms, "/full/a");
    client.send("read");
    client.send("write");
    expect(await client.got(2)).toEqual(["read", "closed 1013 try again later"]);
  });

  test("an event that is refused for load is tried again, in its order; in the end its socket closes with 1013", async () => {
    const heard: unknown[] = [];
    class Reader extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        heard.push(message);
        ws.send(message);
      }
      override webSocketClose(_ws: Socket, code: number): void {
        heard.push(code);
      }
    }
    class Busy extends Book {
      hold(): Promise<void> {
        return free.promise;
      }
    }
    let free = Promise.withResolvers<void>();
    const clock = new FakeClock();
    const rooms = await openRooms({ reader: Reader, busy: Busy }, { clock, maxOpenCells: 1, mostOpenCells: 2 });
    const client = await join(rooms, "/reader/a");
    /** Fills the node with cells in which verbs run, so that the reader, asleep, cannot be opened. */
    const fill = async (): Promise<void> => {
      free = Promise.withResolvers<void>();
      for (const name of ["1", "2"]) void rooms.get(Busy, name).hold();
      await until(() => rooms.node.host.openCell("busy/2" as Address)?.running === 1);
      expect(rooms.node.host.openCell("reader/a" as Address)).toBe(undefined);
    };
    await rooms.get(Reader, "b").lines();
    await fill();
    client.send("one");
    client.send("two");
    for (let i = 0; i < 20; i++) {
      await turns(5);
      clock.advance(50);
    }
    expect(heard).toEqual([]);
    free.resolve();
    await turns();
    clock.advance(5_000);
    expect(await client.got(2)).toEqual(["one", "two"]);
    await fill();
    client.send("three");
    client.send("four");
    for (let ms = 0; ms < SOCKET_RETRY_FOR_MS * 2; ms += 1_000) {
      await turns(5);
      clock.advance(1_000);
    }
    expect((await client.got(3))[2]).toBe("closed 1013 try again later");
    for (let ms = 0; ms < SOCKET_RETRY_FOR_MS * 2; ms += 1_000) {
      await turns(5);
      clock.advance(1_000);
    }
    free.resolve();
    // The last word is kept until it can be heard.
    while (heard.length < 3) {
      await turns(5);
      clock.advance(1_000);
    }
    expect(heard).toEqual(["one", "two", 1013]);
  });
});
