// When frames leave: behind the commit and the disk, in their order; and never, when their transaction is rolled back.

import { AsyncResource } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import type { CellSocket } from "../../src/cell/socket.ts";
import { WebSocketRequestResponsePair } from "../../src/cell/sockets.ts";
import type { Address } from "../../src/types.ts";
import { SlowDisk, turns } from "./nodes.ts";
import { begun, Book, join, openRooms, soFar, until } from "./rooms.ts";

type Socket = CellSocket;
type Message = string | ArrayBuffer;

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

  test("a frame of a transaction over awaits leaves with its commit, one from before its first write too", async () => {
    class Long extends Book {
      override async webSocketMessage(ws: Socket, message: Message): Promise<void> {
        const whole = this.ctx.storage.transaction(async (transaction) => {
          ws.send(`early ${String(message)}`);
          if (message === "undone") transaction.rollback();
          if (message === "undone" || message === "read") return;
          this.put(String(message));
          ws.send(`late ${String(message)}`);
          await undefined;
          if (message === "thrown") throw new Error("taken back");
        });
        await whole.catch(() => {});
        ws.send("end");
      }
    }
    const rooms = await openRooms({ long: Long });
    const client = await join(rooms, "/long/a");
    client.send("thrown");
    expect(await client.got(1)).toEqual(["end"]);
    client.send("undone");
    expect(await client.got(2)).toEqual(["end", "end"]);
    client.send("good");
    expect((await client.got(5)).slice(2)).toEqual(["early good", "late good", "end"]);
    client.send("read");
    expect((await client.got(7)).slice(5)).toEqual(["early read", "end"]);
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

  test("what a timer of an instance that was given up sends is dropped", async () => {
    let tick = (): void => {};
    class Ticker extends Book {
      override webSocketMessage(ws: Socket, message: Message): void {
        if (message === "abort") this.ctx.abort("no");
        if (message === "start") tick = AsyncResource.bind(() => ws.send("of what never happened"));
        else ws.send("new");
      }
    }
    const rooms = await openRooms({ ticker: Ticker });
    const client = await join(rooms, "/ticker/a");
    client.send("start");
    client.send("abort");
    const { host } = rooms.node;
    await until(() => host.openCell("ticker/a" as Address) === undefined);
    tick();
    client.send("go on");
    expect(await client.got(1)).toEqual(["new"]);
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
