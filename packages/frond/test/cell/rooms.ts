// A node with a front door, cells that accept WebSockets, and clients of them, for the tests of sockets.

import { onTestFinished } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import type { AppDefinition } from "../../src/cell/app.ts";
import { Cell, type CellClass } from "../../src/cell/cell.ts";
import type { CellSocket } from "../../src/cell/socket.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { NodeOptions } from "../../src/server/nodeOptions.ts";
import type { Address } from "../../src/types.ts";
import { openDoor } from "../server/doors.ts";
import { type Opened, openIn, temporaryDirectory, turns } from "./nodes.ts";

export interface Rooms extends Opened {
  /** `ws://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

type Options = Partial<Omit<NodeOptions, "app" | "dataDirectory">> & {
  readonly fetch?: NonNullable<AppDefinition["fetch"]>;
};

/**
 * Serves `cells` on a free port. The path of a request is `/KIND/NAME/...`, and goes to the `fetch` of that cell, unless
 * `fetch` is given.
 */
export async function openRooms(
  cells: Readonly<Record<string, CellClass>>,
  options: Options = {},
  directory: string = temporaryDirectory(),
): Promise<Rooms> {
  const toCell = (request: Request, { get }: { get: Get }): Promise<Response> => {
    const [, kind = "", name = ""] = new URL(request.url).pathname.split("/");
    return get(cells[kind] as CellClass, name).fetch(request);
  };
  const opened = await openIn(directory, cells, { fetch: toCell, ...options });
  const { node } = opened;
  const { front, port } = await openDoor((request, info) => node.handle(request, info), {
    upgrades: node.upgrades,
    state: () => node.state(),
  });
  const stop = async (): Promise<void> => {
    await front.stop(1_000);
    await node.stop();
  };
  return { ...opened, url: `ws://127.0.0.1:${port}`, port, stop };
}

/** A client: what it received, in order, and how it ended. */
export class Client {
  readonly ws: WebSocket;
  /** Texts as they are, bytes as lists of numbers, the end as `closed CODE REASON`. */
  readonly received: unknown[] = [];
  #change: (() => void)[] = [];

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data: Buffer, binary) => this.#note(binary ? [...data] : data.toString()));
    ws.on("close", (code, reason) => this.#note(`closed ${code} ${reason.toString()}`.trim()));
    ws.on("error", () => {});
  }

  send(message: string | Uint8Array): void {
    this.ws.send(message);
  }

  /** Waits until it has received `count` things, and returns them. */
  async got(count: number): Promise<unknown[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#change.push(resolve));
    return this.received.slice(0, count);
  }

  #note(what: unknown): void {
    this.received.push(what);
    for (const go of this.#change.splice(0)) go();
  }
}

/** Opens a WebSocket; it is closed when the test ends. Rejects with `refused STATUS` where it is refused. */
export async function join(rooms: Rooms, path: string, options: ClientOptions = {}): Promise<Client> {
  const ws = new WebSocket(`${rooms.url}${path}`, options);
  const client = new Client(ws);
  onTestFinished(() => ws.terminate());
  await new Promise<void>((resolve, reject) => {
    ws.once("open", resolve);
    ws.once("unexpected-response", (_request, response) => {
      reject(new Error(`refused ${response.statusCode}`));
      ws.terminate();
    });
    ws.once("error", reject);
  });
  return client;
}

/** Waits until something holds that no promise tells. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Ends the instance of a cell, if it is open, as when room is needed. */
export async function deactivate({ node }: Rooms, address: string): Promise<void> {
  const cell = node.host.openCell(address as Address);
  if (cell === undefined) return;
  await until(() => cell.idle);
  // Others are opened until the clock hand has passed it twice.
  for (let i = 0; node.host.openCell(address as Address) !== undefined; i++) {
    await node.host.event(cell.kind, `other-${i}`, "a look", () => {});
  }
}

/** Echoes, and notes in its table what it was told. */
export class Room extends Cell {
  static override migrations = [`CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT`];
  static instances = 0;

  constructor(ctx: Cell["ctx"]) {
    super(ctx);
    Room.instances += 1;
  }

  override fetch(request: Request): Response {
    const { searchParams } = new URL(request.url);
    const tags = searchParams.getAll("tag");
    return this.accept(request, { tags, attachment: { who: searchParams.get("who") } });
  }

  override webSocketMessage(ws: CellSocket, message: string | ArrayBuffer): void {
    if (typeof message !== "string") return ws.send(message);
    const [word, ...rest] = message.split(" ");
    if (word === "all") for (const one of this.ctx.getWebSockets()) one.send(rest.join(" "));
    else if (word === "to") for (const one of this.ctx.getWebSockets(rest[0])) one.send(rest.slice(1).join(" "));
    else if (word === "who") ws.send(JSON.stringify([ws.deserializeAttachment(), this.ctx.getTags(ws)]));
    else if (word === "am") ws.serializeAttachment({ who: rest[0] });
    else if (word === "close") ws.close(Number(rest[0]), rest[1]);
    else if (word === "throw") throw new Error(rest.join(" "));
    else ws.send(message);
  }

  override webSocketClose(ws: CellSocket, code: number, reason: string, wasClean: boolean): void {
    const { who } = ws.deserializeAttachment() as { who: string };
    const left = this.ctx.getWebSockets().includes(ws) ? "listed" : "gone";
    ws.send("unheard");
    ws.close(1000, "as well");
    this.note(`close ${who} ${code} ${reason} ${wasClean} ${left} ${ws.readyState}`);
  }

  override webSocketError(_ws: CellSocket, error: Error): void {
    this.note(`error ${error.message}`);
  }

  note(text: string): void {
    this.sql`INSERT INTO note (text) VALUES (${text})`;
  }

  notes(): string[] {
    return this.sql.all<{ text: string }>`SELECT text FROM note ORDER BY id`.map(({ text }) => text);
  }

  count(tag?: string): number {
    return this.ctx.getWebSockets(tag).length;
  }
}

/** Waits until the table of a room has as many lines, and returns them. */
export const notesOf = async (rooms: Rooms, name: string, count: number): Promise<string[]> => {
  let notes: string[] = [];
  while ((notes = await rooms.get(Room, name).notes()).length < count) await turns();
  return notes;
};

/** What the frames of a client are so far, after everything that needs no disk has run. */
export async function soFar(client: Client): Promise<unknown[]> {
  await turns(20);
  return [...client.received];
}

/** Waits until the cell has begun as many events as that. */
export async function begun({ node }: Rooms, address: string, count: number): Promise<void> {
  await until(() => (node.host.openCell(address as Address)?.calls ?? 0) >= count);
}

/** Accepts, and has a table of lines. */
export abstract class Book extends Cell {
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
