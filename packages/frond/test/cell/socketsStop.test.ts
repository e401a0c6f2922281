// The end of a node, seen from its WebSockets: a stop, a kill, and coming back; and many sockets of one cell.

import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { Cell } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import type { Address } from "../../src/types.ts";
import { Folder, Running } from "../cli/command.ts";
import { rawClient } from "../server/doors.ts";
import { turns } from "./nodes.ts";
import { Client, join, openRooms, until } from "./rooms.ts";

class Diary extends Cell {
  static override migrations = [`CREATE TABLE line (text TEXT NOT NULL) STRICT`];
  override fetch(request: Request): Response {
    return this.accept(request);
  }
  override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): unknown {
    this.sql`INSERT INTO line (text) VALUES (${String(message)})`;
    ws.send(`${message} ${this.ctx.getWebSockets().length}`);
    return undefined;
  }
  override webSocketClose(_ws: CellSocket, code: number): void {
    this.sql`INSERT INTO line (text) VALUES (${`closed ${code}`})`;
  }
  lines(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY rowid`.map(({ text }) => text);
  }
  sockets(): number {
    return this.ctx.getWebSockets().length;
  }
}

describe("a graceful stop", () => {
  test("closes all sockets with 1012 behind what was sent, and runs no hooks", async () => {
    const rooms = await openRooms({ diary: Diary });
    const clients = await Promise.all(["a", "a", "b"].map((name) => join(rooms, `/diary/${name}`)));
    clients[0]?.send("before");
    await clients[0]?.got(1);
    await rooms.stop();
    for (const client of clients) expect((await client.got(1)).at(-1)).toMatch(/before 2|closed 1012/);
    expect((await clients[0]?.got(2))?.[1]).toBe("closed 1012 the node is restarting");
    const again = await openRooms({ diary: Diary }, {}, rooms.directory);
    expect(await again.get(Diary, "a").lines()).toEqual(["before"]);
    expect(await again.get(Diary, "b").lines()).toEqual([]);
    expect(await again.get(Diary, "a").sockets()).toBe(0);
    const back = await join(again, "/diary/a");
    back.send("again");
    expect(await back.got(1)).toEqual(["again 1"]);
  });

  test("closes a socket with 1012 whose cell takes back that it has closed it", async () => {
    const { promise: end, resolve: go } = Promise.withResolvers<void>();
    let said = false;
    class Doubter extends Diary {
      override async webSocketMessage(ws: CellSocket): Promise<void> {
        const whole = this.ctx.storage.transaction(async () => {
          ws.close(4000, "done");
          said = true;
          await end;
          throw new Error("taken back");
        });
        await whole.catch(() => {});
      }
    }
    const rooms = await openRooms({ doubter: Doubter });
    const client = await join(rooms, "/doubter/a");
    client.send("go");
    await until(() => said);
    const stopped = rooms.stop();
    go();
    expect(await client.got(1)).toEqual(["closed 1012 the node is restarting"]);
    await stopped;
  });

  test("lets what has begun come to its end; what it sends then goes nowhere", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    class Late extends Diary {
      override async webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): Promise<void> {
        await promise;
        ws.send("nobody hears this");
        this.sql`INSERT INTO line (text) VALUES (${`${message} ${ws.readyState > 1}`})`;
      }
    }
    const rooms = await openRooms({ late: Late });
    const client = await join(rooms, "/late/a");
    client.send("begun");
    await until(() => rooms.node.host.openCell("late/a" as Address)?.running === 1);
    const stopped = rooms.stop();
    expect(await client.got(1)).toEqual(["closed 1012 the node is restarting"]);
    resolve();
    await stopped;
    const again = await openRooms({ late: Late }, {}, rooms.directory);
    expect(await again.get(Late, "a").lines()).toEqual(["begun true"]);
  });
});

describe("a process that is killed", () => {
  const APP = `
import { Cell, type CellSocket, frond } from "frond";
class Diary extends Cell {
  static override migrations = ["CREATE TABLE line (text TEXT NOT NULL) STRICT"];
  override fetch(request: Request) {
    return this.accept(request);
  }
  override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer) {
    this.sql\`INSERT INTO line (text) VALUES (\${String(message)})\`;
    const { count } = this.sql.one<{ count: number }>\`SELECT count(*) AS count FROM line\`;
    ws.send(\`\${count} lines, \${this.ctx.getWebSockets().length} sockets\`);
  }
}
export default frond({ cells: { diary: Diary }, fetch: (request, { get }) => get(Diary, "d").fetch(request) });
`;

  test("takes its sockets with it; what it had told is there when its clients come back", async () => {
    const folder = new Folder(APP);
    onTestFinished(() => folder.remove());
    const start = async (): Promise<[Running, string]> => {
      const running = new Running(folder, ["start", "app.ts", "--data", "data", "--listen", "127.0.0.1:0"]);
      onTestFinished(() => void running.child.kill("SIGKILL"));
      return [running, (await running.ready()).replace("http", "ws")];
    };
    const open = async (url: string): Promise<Client> => {
      const ws = new WebSocket(url);
      const client = new Client(ws);
      onTestFinished(() => ws.terminate());
      await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
      return client;
    };
    const [first, url] = await start();
    const client = await open(url);
    client.send("one");
    client.send("two");
    expect(await client.got(2)).toEqual(["1 lines, 1 sockets", "2 lines, 1 sockets"]);
    await first.stop("SIGKILL");
    expect((await client.got(3))[2]).toBe("closed 1006");
    const [second, next] = await start();
    const back = await open(next);
    back.send("three");
    expect(await back.got(1)).toEqual(["3 lines, 1 sockets"]);
    expect(await second.stop()).not.toBe(null);
    expect((await back.got(2))[1]).toBe("closed 1012 the node is restarting");
  });
});

test("a thousand sockets of one cell hear everything, in order, and are gone when they are closed", async () => {
  class Hall extends Cell {
    override fetch(request: Request): Response {
      return this.accept(request, { tags: [new URL(request.url).searchParams.get("tag") ?? ""] });
    }
    override webSocketMessage(_ws: CellSocket, message: string | ArrayBuffer): void {
      for (const one of this.ctx.getWebSockets()) one.send(message);
      for (const one of this.ctx.getWebSockets("even")) one.send("even");
    }
    sockets(tag?: string): number {
      return this.ctx.getWebSockets(tag).length;
    }
  }
  const rooms = await openRooms({ hall: Hall });
  const clients: Client[] = [];
  for (let i = 0; i < 1_000; i += 50) {
    const some = Array.from({ length: 50 }, (_, at) => join(rooms, `/hall/a?tag=${(i + at) % 2 ? "odd" : "even"}`));
    clients.push(...(await Promise.all(some)));
  }
  expect(await rooms.get(Hall, "a").sockets()).toBe(1_000);
  expect(await rooms.get(Hall, "a").sockets("odd")).toBe(500);
  for (const message of ["one", "two", "three"]) clients[7]?.send(message);
  for (const [i, client] of clients.entries()) {
    const all = i % 2 ? ["one", "two", "three"] : ["one", "even", "two", "even", "three", "even"];
    expect(await client.got(all.length)).toEqual(all);
  }
  for (const { ws } of clients) ws.terminate();
  while ((await rooms.get(Hall, "a").sockets()) > 0) await turns();
  expect(rooms.node.host.sockets.cells).toBe(0);
  expect(rooms.node.upgrades.count).toBe(0);
});

test("whatever bytes come, before the handshake and behind it, the others go on", async () => {
  const rooms = await openRooms({ diary: Diary });
  const good = await join(rooms, "/diary/good");
  let state = 20_261_123;
  const random = (below: number): number => {
    // The generator of Park and Miller: the same bytes in every run.
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  const lines = [
    "GET /diary/bad HTTP/1.1",
    "Host: example.test",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Protocol: a, b",
    "Origin: http://example.test",
  ];
  const handshake = `${lines.join("\r\n")}\r\n\r\n`;
  const noise = (length: number): string =>
    String.fromCharCode(...Array.from({ length }, () => random(random(3) === 0 ? 256 : 128)));
  for (let round = 0; round < 120; round++) {
    const raw = await rawClient(rooms.port);
    raw.socket.on("error", () => {});
    const kind = random(4);
    if (kind === 0) {
      // A line is lost, doubled, cut or disturbed.
      const broken = [...lines];
      const at = random(lines.length);
      const line = lines[at] as string;
      broken[at] = [`${line}\r\n${line}`, line.slice(0, random(line.length)), `${line}${noise(3)}`, "x:"][
        random(4)
      ] as string;
      raw.send(`${broken.join("\r\n")}\r\n\r\n${noise(20)}`);
    } else if (kind === 1) raw.send(`${handshake.slice(0, random(handshake.length))}${noise(random(40))}`);
    else raw.send(`${handshake}${noise(kind === 2 ? 4 : random(600) + 1)}`);
    await turns(3);
    if (random(2) === 0) raw.socket.destroy();
    else raw.socket.end();
  }
  good.send("still here");
  expect(await good.got(1)).toEqual(["still here 1"]);
  expect(rooms.fatal).toEqual([]);
  await until(() => rooms.node.upgrades.count === 1);
});
