// The app of the soak: shelves, cells whose slots hold numbers that only rise.
//
// Rule: what a client was told can be seen at any later time in one look, and nothing grows: a slot is overwritten, so what
// grows is frond. All ways into a cell are there: sync and async verbs, calls, streams, sockets and alarms.
// How memory is looked at: what a process holds is what is left behind a collection of garbage. Without one it shows how far
// the collector let things go, which rises for minutes and says nothing. So the app collects when it is asked to.

import { frond } from "../cell/app.ts";
import { Cell } from "../cell/cell.ts";
import type { CellSocket } from "../cell/socket.ts";

/** Everything that a shelf has. */
export interface ShelfShown {
  readonly slots: readonly { readonly id: number; readonly n: number }[];
  /** The number that the last alarm was set with, and the one that an alarm has run for. */
  readonly armed: number;
  readonly fired: number;
}

/** Lines of a streamed answer. Count. */
export const STREAM_LINES = 8;

/** How the app may be broken, so that what the soak sees is tried: it keeps what it was asked, or acknowledges what it forgets. */
export type SoakBreakage = "leak" | "forget";
const BROKEN = process.env["FROND_SOAK_BROKEN"];
const kept: Uint8Array[] = [];

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

export class Shelf extends Cell {
  static override readonly durability = "disk";
  static override readonly migrations = [
    `CREATE TABLE slot (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, filler TEXT NOT NULL) STRICT;
     CREATE TABLE bell (id INTEGER PRIMARY KEY CHECK (id = 1), armed INTEGER NOT NULL, fired INTEGER NOT NULL) STRICT;
     INSERT INTO bell VALUES (1, 0, 0)`,
  ];

  put(id: number, n: number): number {
    if (BROKEN === "leak") kept.push(new Uint8Array(100_000).fill(n));
    if (BROKEN === "forget" && n % 3 === 0) return n;
    this.sql`INSERT INTO slot VALUES (${id}, ${n}, ${"x".repeat(n % 400)})
      ON CONFLICT (id) DO UPDATE SET n = max(n, excluded.n), filler = excluded.filler`;
    return n;
  }

  at(id: number): number {
    return this.sql.first<{ n: number }>`SELECT n FROM slot WHERE id = ${id}`?.n ?? 0;
  }

  /** Reads elsewhere, lets others run, writes in a transaction over awaits. */
  async putLater(id: number, n: number, neighbour: string): Promise<number> {
    await this.get(Shelf, neighbour).at(id);
    await this.ctx.storage.transaction(async () => {
      await turn();
      this.put(id, n);
    });
    return n;
  }

  async arm(n: number, afterMs: number): Promise<number> {
    this.sql`UPDATE bell SET armed = max(armed, ${n})`;
    await this.ctx.storage.setAlarm(Date.now() + afterMs);
    return n;
  }

  override alarm(): void {
    this.sql`UPDATE bell SET fired = armed`;
  }

  override fetch(request: Request): Response | Promise<Response> {
    if (request.headers.get("upgrade") !== null) return this.accept(request);
    let line = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (line === STREAM_LINES) return controller.close();
        await turn();
        controller.enqueue(Buffer.from(`${this.at(line)}\n`));
        line += 1;
      },
    });
    return new Response(body);
  }

  /** `ID N`: puts it, and says N. */
  override webSocketMessage(socket: CellSocket, message: string | ArrayBuffer): void {
    const [id = 0, n = 0] = String(message).split(" ").map(Number);
    socket.send(String(this.put(id, n)));
  }

  show(): ShelfShown {
    const bell = this.sql.one<{ armed: number; fired: number }>`SELECT armed, fired FROM bell`;
    return { slots: this.sql.all<{ id: number; n: number }>`SELECT id, n FROM slot`, ...bell };
  }
}

/** Collects all garbage and gives its pages back, in a process that was started with --expose-gc. */
function collect(): Response {
  const { gc } = globalThis as { gc?: (options: object) => void };
  if (gc === undefined) return new Response("start it with --expose-gc", { status: 500 });
  gc({ type: "major", execution: "sync", flavor: "last-resort" });
  return new Response(null, { status: 204 });
}

/** `POST /NAME/VERB` with the arguments as JSON; `GET /NAME` streams, or is a WebSocket; `GET /` collects garbage. */
export default frond({
  cells: { shelf: Shelf },
  fetch: async (request, { get }) => {
    const [, name = "", verb] = new URL(request.url).pathname.split("/");
    if (name === "") return collect();
    const shelf = get(Shelf, name);
    if (verb === undefined) return shelf.fetch(request);
    try {
      const verbs = shelf as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      return Response.json({ value: await verbs[verb]?.(...((await request.json()) as unknown[])) });
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      return Response.json({ code, message }, { status: 409 });
    }
  },
});
