// What leaves piece by piece, frames of sockets and chunks of bodies, waits for the bucket where its cell, or one that it
// has heard from, is at that level.

import { expect, test } from "vitest";
import type { CellSocket } from "../../src/cell/socket.ts";
import { WebSocketRequestResponsePair } from "../../src/cell/sockets.ts";
import type { Address } from "../../src/types.ts";
import { turns } from "./nodes.ts";
import { begun, Book, type Client, join, openRooms, type Rooms, soFar, until } from "./rooms.ts";

type Message = string | ArrayBuffer;

class Safe extends Book {
  static override durability = "bucket" as const;
}

class Plain extends Book {}

async function confirm({ node: { commitLog } }: Rooms): Promise<void> {
  await commitLog.flushed();
  commitLog.confirm(commitLog.durable);
}

/** Its client has no more when everything is on the disk; returns what it has when the bucket has it, too. */
async function waitForBucket(rooms: Rooms, client: Client, count: number): Promise<unknown[]> {
  await turns(20);
  await rooms.node.commitLog.flushed();
  expect(await soFar(client)).toHaveLength(count - 1);
  await confirm(rooms);
  return client.got(count);
}

test("a frame waits for the bucket, and what is sent behind it: its own cell's level or what that has heard", async () => {
  class Teller extends Safe {
    override webSocketMessage(ws: CellSocket, message: Message): void {
      if (message === "close") return ws.close(4000, "done");
      if (message !== "read") this.put(String(message));
      ws.send(`${String(message)} ${this.lines().length}`);
    }
  }
  class Listener extends Book {
    override async webSocketMessage(ws: CellSocket, message: Message): Promise<void> {
      if (message === "put") this.put("x");
      else await this.get(Teller, "t").lines();
      ws.send(`sent ${String(message)}`);
    }
  }
  const rooms = await openRooms({ teller: Teller, listener: Listener }, { bucketLog: true });
  const [teller, listener] = [await join(rooms, "/teller/t"), await join(rooms, "/listener/a")];
  listener.send("put");
  expect(await listener.got(1)).toEqual(["sent put"]);
  teller.send("one");
  await begun(rooms, "teller/t", 2);
  listener.send("hear");
  await begun(rooms, "listener/a", 3);
  await rooms.node.commitLog.flushed();
  // What is on the disk when it is sent waits as well.
  listener.send("hear");
  await begun(rooms, "listener/a", 4);
  expect(await soFar(teller)).toEqual([]);
  expect(await soFar(listener)).toHaveLength(1);
  await confirm(rooms);
  expect((await listener.got(3)).slice(1)).toEqual(["sent hear", "sent hear"]);
  expect(await teller.got(1)).toEqual(["one 1"]);
  teller.send("two");
  await begun(rooms, "teller/t", 4);
  teller.send("close");
  await begun(rooms, "teller/t", 5);
  await rooms.node.commitLog.flushed();
  expect(await soFar(teller)).toHaveLength(1);
  await confirm(rooms);
  expect((await teller.got(3)).slice(1)).toEqual(["two 2", "closed 4000 done"]);
});

test("the handshake, an automatic answer, a deleted cell's close and what a timer sends wait for the bucket, too", async () => {
  let tick = false;
  class Various extends Safe {
    override fetch(request: Request): Response {
      if (this.lines().length === 0) this.put("first");
      return this.accept(request);
    }
    override webSocketMessage(ws: CellSocket, message: Message): void {
      if (message === "auto") {
        this.put("auto");
        this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("?", "!"));
      } else {
        const wait = (): unknown => (tick ? ws.send("tick") : setTimeout(wait, 1));
        wait();
      }
    }
  }
  const rooms = await openRooms({ various: Various, safe: Safe, plain: Plain }, { bucketLog: true });
  const joined = join(rooms, "/various/a");
  let open = false;
  void joined.then(() => (open = true));
  await until(() => rooms.node.host.openCell("various/a" as Address)?.calls === 1);
  await rooms.node.commitLog.flushed();
  await turns(20);
  expect(open).toBe(false);
  await confirm(rooms);
  const client = await joined;
  client.send("auto");
  client.send("?");
  await begun(rooms, "various/a", 2);
  expect((await waitForBucket(rooms, client, 1))[0]).toBe("!");
  // A timer can have heard of whatever is in the node; what needs no bucket does not make it wait.
  client.send("timer");
  await begun(rooms, "various/a", 3);
  await rooms.get(Plain, "p").put("x");
  await rooms.node.commitLog.flushed();
  tick = true;
  expect((await client.got(2))[1]).toBe("tick");
  tick = false;
  client.send("timer");
  await begun(rooms, "various/a", 4);
  await rooms.get(Safe, "s").put("x");
  tick = true;
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect((await waitForBucket(rooms, client, 3))[2]).toBe("tick");
  tick = false;
  client.send("timer");
  await begun(rooms, "various/a", 5);
  await rooms.get(Plain, "p", { durability: "bucket" }).put("y");
  tick = true;
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect((await waitForBucket(rooms, client, 4))[3]).toBe("tick");
  const deleted = rooms.node.control.delete("various/a");
  expect((await waitForBucket(rooms, client, 5))[4]).toMatch(/^closed 1001/);
  await deleted;
});

test("each chunk of a body waits for the bucket, also of one that a cell at the level disk passes on", async () => {
  let next = Promise.withResolvers<void>();
  class Source extends Safe {
    override fetch(): Response {
      let n = 0;
      const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
        await next.promise;
        this.put(`chunk ${n++}`);
        controller.enqueue(Buffer.from(this.lines().at(-1) as string));
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    }
  }
  class Relay extends Book {
    override fetch(request: Request): Promise<Response> {
      return this.get(Source, "s").fetch(request);
    }
  }
  const rooms = await openRooms({ source: Source, relay: Relay }, { bucketLog: true });
  for (const path of ["/source/a", "/relay/a"]) {
    next = Promise.withResolvers();
    const response = await fetch(`${rooms.url.replace("ws", "http")}${path}`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (let n = 0; n < 3; n++) {
      let chunk: string | undefined;
      const read = reader.read().then(({ value }) => (chunk = Buffer.from(value ?? []).toString()));
      const { appended } = rooms.node.commitLog;
      next.resolve();
      await until(() => rooms.node.commitLog.appended > appended);
      next = Promise.withResolvers();
      await rooms.node.commitLog.flushed();
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(chunk).toBe(undefined);
      await confirm(rooms);
      expect(await read).toBe(`chunk ${n}`);
    }
    await reader.cancel();
  }
});
