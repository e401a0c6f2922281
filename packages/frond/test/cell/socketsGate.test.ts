// When frames leave and when events begin: behind commits, behind the disk, in their order, as fast as each side takes them.

import { AsyncResource } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import { WebSocketRequestResponsePair } from "../../src/cell/sockets.ts";
import { FakeClock } from "../../src/clock.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_SOCKET_EVENTS, SOCKET_RETRY_FOR_MS } from "../../src/limits.ts";
import type { Address } from "../../src/types.ts";
import { SlowDisk, turns } from "./nodes.ts";
import { type Client, join, openRooms, type Rooms, until } from "./rooms.ts";

type Socket = CellSocket;
type Message = string | ArrayBuffer;

/** What the frames of a client are so far, after everything that needs no disk has run. */
async function soFar(client: Client): Promise<unknown[]> {
  await turns(20);
  return [...client.received];
}

/** Waits until the cell has begun as many events as that. */
async function begun({ node }: Rooms, address: string, count: number): Promise<void> {
  await until(() => (node.host.openCell(address as Address)?.calls ?? 0) >= count);
}

abstract class Book extends Cell {
  static override migrations = [`CREATE TABLE line (text TEXT NOT NULL UNIQUE) STRICT`];
  override fetch(request: Request): Response | Promise<Response> {
    return this.accept(request);
  }
  put(text: string): void {
    this.sql`INSERT INTO line (text) VALUES (${text})`;
  }
  lines(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY rowid`.map(({ text }) => text);
  }
}

describe("frames", () => {
  test("a frame waits for the disk, with everything that was sent behind it, its close too", async () => {
    class Writer extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        if (message === "close") return ws.close(4000, "done");
        if (message !== "read") this.put(String(message));
        ws.send(`${message} ${this.lines().length}`);
      }
    }
    const disk = new SlowDisk();
    const rooms = await openRooms({ writer: Writer }, { io: disk });
    const client = await join(rooms, "/writer/a");
    client.send("read");
    expect(await client.got(1)).toEqual(["read 0"]);
    disk.hold();
    client.send("one");
    client.send("read");
    await begun(rooms, "writer/a", 4);
    client.send("two");
    client.send("close");
    await begun(rooms, "writer/a", 6);
    expect(await soFar(client)).toEqual(["read 0"]);
    await disk.releaseOne();
    expect((await client.got(3)).slice(1)).toEqual(["one 1", "read 1"]);
    expect(await soFar(client)).toHaveLength(3);
    await disk.releaseOne();
    expect((await client.got(5)).slice(3)).toEqual(["two 2", "closed 4000 done"]);
  });

  test("what another cell has told is waited for as well", async () => {
    class Source extends Book {}
    class Teller extends Book {
      override async webSocketMessage(ws: Socket): Promise<void> {
        ws.send(`known: ${(await this.get(Source, "s").lines()).join()}`);
      }
    }
    const disk = new SlowDisk();
    const rooms = await openRooms({ source: Source, teller: Teller }, { io: disk });
    const client = await join(rooms, "/teller/a");
    disk.hold();
    await rooms.get(Source, "s").put("new");
    client.send("tell");
    await begun(rooms, "teller/a", 2);
    expect(await soFar(client)).toEqual([]);
    disk.release();
    expect(await client.got(1)).toEqual(["known: new"]);
  });

  test("at the level memory a frame does not wait for what its own cell has written", async () => {
    class Quick extends Book {
      static override durability = "memory" as const;
      override webSocketMessage(ws: Socket, message: Message): void {
        this.put(String(message));
        ws.send("written");
      }
    }
    const disk = new SlowDisk();
    const rooms = await openRooms({ quick: Quick }, { io: disk });
    const client = await join(rooms, "/quick/a");
    disk.hold();
    client.send("x");
    expect(await client.got(1)).toEqual(["written"]);
  });

  test("a frame of what is rolled back never leaves, and a close of it closes nothing", async () => {
    class Doubter extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        const [word, text = ""] = String(message).split(" ");
        if (word === "throw") {
          ws.send(`thrown ${text}`);
          this.put(text);
          ws.close(4001);
          throw new Error("taken back");
        }
        if (word === "part") {
          ws.send("before");
          try {
            this.transaction(() => {
              this.put(text);
              ws.send(`inside ${text}`);
              ws.close(4002);
              throw new Error("taken back");
            });
          } catch {
            ws.send("after");
          }
        }
        if (word === "nothing") {
          ws.send("a verb that wrote nothing is taken back too");
          throw new Error("taken back");
        }
        if (word === "twice") {
          this.put(text);
          ws.send(`inserted ${text}`);
        }
        if (word === "late") {
          this.sql`INSERT OR ROLLBACK INTO line (text) VALUES (${text})`;
          ws.send("never");
        }
        if (word === "lines") ws.send(`lines ${this.lines().join()} state ${ws.readyState}`);
      }
    }
    const rooms = await openRooms({ doubter: Doubter });
    const client = await join(rooms, "/doubter/a");
    for (const message of ["throw a", "nothing", "part b", "twice c", "twice c", "late c", "lines"])
      client.send(message);
    expect(await client.got(4)).toEqual(["before", "after", "inserted c", "lines c state 1"]);
    client.send("lines");
    await client.got(5);
  });

  test("in an async hook each frame leaves with its stretch, also before the hook has ended or thrown", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    class Stepper extends Book {
      override async webSocketMessage(ws: Socket): Promise<void> {
        this.put("first");
        ws.send("first");
        await promise;
        ws.send("second");
        throw new Error("after that");
      }
    }
    const rooms = await openRooms({ stepper: Stepper });
    const client = await join(rooms, "/stepper/a");
    client.send("go");
    expect(await client.got(1)).toEqual(["first"]);
    resolve();
    expect(await client.got(2)).toEqual(["first", "second"]);
  });

  test("what another verb of the cell has set and not yet written is not told before it is in the log", async () => {
    class Fields extends Book {
      field = "old";
      override async webSocketMessage(ws: Socket): Promise<void> {
        // Between the write of the verb below and the commit of its stretch, as part of this one.
        inBetween = AsyncResource.bind(() => ws.send(this.field));
        await ended.promise;
      }
      async set(): Promise<void> {
        await new Promise((resolve) => setImmediate(resolve));
        queueMicrotask(() => inBetween());
        this.field = "new";
        this.put("new");
      }
    }
    let inBetween = (): void => {};
    const ended = Promise.withResolvers<void>();
    const disk = new SlowDisk();
    const rooms = await openRooms({ fields: Fields }, { io: disk });
    const client = await join(rooms, "/fields/a");
    client.send("listen");
    await begun(rooms, "fields/a", 2);
    await turns();
    disk.hold();
    void rooms.get(Fields, "a").set();
    await begun(rooms, "fields/a", 3);
    expect(await soFar(client)).toEqual([]);
    disk.release();
    expect(await client.got(1)).toEqual(["new"]);
    ended.resolve();
  });

  test("what a timer sends after its verb waits for everything that was written", async () => {
    let written = false;
    class Ticker extends Book {
      override webSocketMessage(ws: Socket): void {
        const tick = (): unknown => (written ? ws.send(`tick ${ws.readyState}`) : setTimeout(tick, 1));
        tick();
      }
    }
    class Other extends Book {}
    const disk = new SlowDisk();
    const rooms = await openRooms({ ticker: Ticker, other: Other }, { io: disk });
    const client = await join(rooms, "/ticker/a");
    disk.hold();
    client.send("tick");
    await begun(rooms, "ticker/a", 2);
    await rooms.get(Other, "o").put("x");
    written = true;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await soFar(client)).toEqual([]);
    disk.release();
    expect(await client.got(1)).toEqual(["tick 1"]);
  });

  test("the handshake waits for the disk, and a greeting comes behind it", async () => {
    class Greeter extends Book {
      override fetch(request: Request): Response {
        this.put("seen");
        const answer = this.accept(request);
        answer.webSocket?.send("hello");
        return answer;
      }
    }
    const disk = new SlowDisk();
    const rooms = await openRooms({ greeter: Greeter }, { io: disk });
    disk.hold();
    const joined = join(rooms, "/greeter/a");
    await until(() => rooms.node.host.openCell("greeter/a" as Address)?.calls === 1);
    let open = false;
    void joined.then(() => (open = true));
    await turns(20);
    expect(open).toBe(false);
    disk.release();
    expect(await (await joined).got(1)).toEqual(["hello"]);
  });

  test("an automatic answer tells no more than its cell may when it is set", async () => {
    class Auto extends Book {
      override webSocketMessage(_ws: Socket, message: Message): void {
        this.put(String(message));
        this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("?", String(message)));
        if (message === "three") throw new Error("taken back");
      }
    }
    const disk = new SlowDisk();
    const rooms = await openRooms({ auto: Auto }, { io: disk });
    const client = await join(rooms, "/auto/a");
    client.send("one");
    client.send("?");
    expect(await client.got(1)).toEqual(["one"]);
    disk.hold();
    client.send("two");
    client.send("three");
    client.send("?");
    await begun(rooms, "auto/a", 4);
    expect(await soFar(client)).toEqual(["one"]);
    disk.release();
    expect(await client.got(2)).toEqual(["one", "two"]);
  });
});

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
