// A node with a front door, and clients of its WebSockets, for the tests of sockets.

import { onTestFinished } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import type { AppDefinition } from "../../src/cell/app.ts";
import type { CellClass } from "../../src/cell/cell.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { NodeOptions } from "../../src/server/node.ts";
import { openDoor } from "../server/doors.ts";
import { type Opened, openIn, temporaryDirectory } from "./nodes.ts";

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
