// The clients of the soak: a steady mixture of calls, streams and frames, and a ledger of what was acknowledged.
//
// Rule: a slot has one writer at a time and its numbers rise, so what it must hold is known to the number: at least the last
// one acknowledged, at most the last one sent. An answer that did not come says nothing.

import http from "node:http";
import type { Random } from "./random.ts";
import { type ShelfShown, STREAM_LINES } from "./soakApp.ts";

/** Shelves. Count. */
const SHELVES = 400;
/** Slots of a shelf. Count. */
const SLOTS = 8;
/** Calls that are under way at most. Count. */
const IN_FLIGHT = 64;
/** WebSockets that are open at a time. Count. */
const SOCKETS = 16;
/** Longest time to an alarm, in ms. */
const ALARM_MS = 3000;
const TICK_MS = 20;

const MIX = { at: 40, put: 22, putLater: 12, stream: 6, frame: 10, arm: 4, visit: 6 };
const EXCUSED = new Set(["STOPPING", "OVERLOADED", "CELL_BUSY", "QUEUE_FULL"]);

interface Slot {
  sent: number;
  acknowledged: number;
  busy: boolean;
}

interface ShelfLedger {
  readonly name: string;
  readonly slots: readonly Slot[];
  serial: number;
  armed: number;
}

interface Socket {
  readonly web: WebSocket;
  readonly shelf: ShelfLedger;
  /** Who waits for the frame that comes next. */
  answered: ((n: number | undefined) => void) | undefined;
}

/** See the head of the file. One per soak; it outlives the processes. */
export class SoakClient {
  /** Requests that were answered. Count. */
  answered = 0;
  acknowledged = 0;
  /** Answers that no node should give, and what was lost. */
  readonly wrong: string[] = [];
  readonly #random: Random;
  readonly #shelves: ShelfLedger[];
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  #sockets: Socket[] = [];
  #underWay = 0;
  #visits = 0;
  #port = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(random: Random) {
    this.#random = random;
    const slots = (): Slot[] => Array.from({ length: SLOTS }, () => ({ sent: 0, acknowledged: 0, busy: false }));
    this.#shelves = Array.from({ length: SHELVES }, (_, i) => ({
      name: `s${i}`,
      slots: slots(),
      serial: 0,
      armed: 0,
    }));
  }

  /** Calls `rate` times a second until `pause`. */
  begin(port: number, rate: number): void {
    this.#port = port;
    let due = 0;
    this.#timer = setInterval(() => {
      due = Math.min(due + (rate * TICK_MS) / 1000, IN_FLIGHT);
      for (; due >= 1 && this.#underWay < IN_FLIGHT; due--) void this.#one();
    }, TICK_MS);
  }

  /** Ends the load; resolves when nothing is under way. The process may be gone by then, or is still there. */
  async pause(): Promise<void> {
    clearInterval(this.#timer);
    for (const { web } of this.#sockets.splice(0)) web.close();
    while (this.#underWay > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Looks at every shelf: nothing that was acknowledged is gone. `alarms`: all that were set have had their time. */
  async check(port: number, alarms = false): Promise<void> {
    this.#port = port;
    const left = this.#shelves.filter((shelf) => shelf.serial > 0);
    const reader = async (): Promise<void> => {
      for (let shelf = left.pop(); shelf !== undefined; shelf = left.pop()) {
        const shown = (await this.#call(shelf.name, "show", [])) as ShelfShown | undefined;
        if (shown === undefined) this.wrong.push(`${shelf.name} could not be read`);
        else this.#compare(shelf, shown, alarms);
      }
    };
    await Promise.all(Array.from({ length: 8 }, reader));
  }

  /** How long after the last call every alarm has run, in ms. */
  static readonly alarmsDoneMs = ALARM_MS + 2000;

  #compare(shelf: ShelfLedger, shown: ShelfShown, alarms: boolean): void {
    const values = new Map(shown.slots.map(({ id, n }) => [id, n]));
    for (const [id, slot] of shelf.slots.entries()) {
      const n = values.get(id) ?? 0;
      if (n < slot.acknowledged) this.wrong.push(`${shelf.name}.${id} is ${n}, ${slot.acknowledged} was acknowledged`);
      if (n > slot.sent) this.wrong.push(`${shelf.name}.${id} is ${n}, the last one sent was ${slot.sent}`);
    }
    if (shown.armed < shelf.armed) this.wrong.push(`${shelf.name}: alarm ${shelf.armed} was acknowledged and is gone`);
    if (alarms && shown.fired < shelf.armed) this.wrong.push(`${shelf.name}: alarm ${shelf.armed} has not run`);
  }

  async #one(): Promise<void> {
    this.#underWay += 1;
    try {
      const kind = this.#random.weighted(MIX);
      // A few are hot.
      const shelf = this.#shelves[Math.floor(this.#random.next() ** 2 * SHELVES)] as ShelfLedger;
      if (kind === "visit") await this.#call(`nobody${this.#visits++}`, "at", [0]);
      else if (kind === "stream") await this.#stream(shelf);
      else if (kind === "arm") await this.#arm(shelf);
      else if (kind === "frame") await this.#frame();
      else await this.#slot(shelf, kind);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #slot(shelf: ShelfLedger, kind: "at" | "put" | "putLater"): Promise<void> {
    const id = this.#random.between(0, SLOTS - 1);
    const slot = shelf.slots[id] as Slot;
    if (kind === "at") {
      const least = slot.acknowledged;
      const n = await this.#call(shelf.name, "at", [id]);
      if (n !== undefined && (n as number) < least)
        this.wrong.push(`${shelf.name}.${id} was read as ${n} after ${least}`);
      return;
    }
    const neighbour = (this.#random.pick(this.#shelves) as ShelfLedger).name;
    await this.#write(shelf, slot, async (n) => {
      const args = kind === "put" ? [id, n] : [id, n, neighbour];
      return (await this.#call(shelf.name, kind, args)) as number | undefined;
    });
  }

  async #write(shelf: ShelfLedger, slot: Slot, send: (n: number) => Promise<number | undefined>): Promise<void> {
    if (slot.busy) return;
    slot.busy = true;
    const n = ++shelf.serial;
    slot.sent = n;
    if ((await send(n)) === n) {
      slot.acknowledged = n;
      this.acknowledged += 1;
    }
    slot.busy = false;
  }

  async #arm(shelf: ShelfLedger): Promise<void> {
    const n = ++shelf.serial;
    const answer = await this.#call(shelf.name, "arm", [n, this.#random.between(0, ALARM_MS)]);
    if (answer === n && n > shelf.armed) shelf.armed = n;
  }

  /** A frame on one of the sockets; a new socket where there are too few, and now and then one is closed. */
  async #frame(): Promise<void> {
    this.#sockets = this.#sockets.filter(({ web }) => web.readyState <= WebSocket.OPEN);
    if (this.#sockets.length < SOCKETS) return this.#open();
    const socket = this.#random.pick(this.#sockets);
    if (socket.web.readyState !== WebSocket.OPEN || socket.answered !== undefined) return;
    if (this.#random.chance(0.05)) return socket.web.close();
    const id = this.#random.between(0, SLOTS - 1);
    await this.#write(
      socket.shelf,
      socket.shelf.slots[id] as Slot,
      (n) =>
        new Promise((resolve) => {
          socket.answered = resolve;
          socket.web.send(`${id} ${n}`);
        }),
    );
  }

  #open(): void {
    const shelf = this.#random.pick(this.#shelves);
    const web = new WebSocket(`ws://127.0.0.1:${this.#port}/${shelf.name}`);
    const socket: Socket = { web, shelf, answered: undefined };
    const hear = (n: number | undefined): void => {
      if (n !== undefined) this.answered += 1;
      const { answered } = socket;
      socket.answered = undefined;
      answered?.(n);
    };
    web.addEventListener("message", ({ data }) => hear(Number(data)));
    web.addEventListener("close", () => hear(undefined));
    web.addEventListener("error", () => {});
    this.#sockets.push(socket);
  }

  async #stream(shelf: ShelfLedger): Promise<void> {
    const answer = await this.#request("GET", `/${shelf.name}`, "");
    if (answer === undefined) return;
    this.answered += 1;
    const lines = answer.text.split("\n").length - 1;
    if (answer.status === 200 && lines !== STREAM_LINES) this.wrong.push(`a stream ended whole after ${lines} lines`);
  }

  async #call(name: string, verb: string, args: unknown[]): Promise<unknown> {
    const answer = await this.#request("POST", `/${name}/${verb}`, JSON.stringify(args));
    if (answer === undefined) return undefined;
    this.answered += 1;
    const said = JSON.parse(answer.text) as { value?: unknown; code?: string; error?: { code: string } };
    if (answer.status === 200) return said.value;
    const code = said.code ?? said.error?.code ?? "?";
    if (!EXCUSED.has(code)) this.wrong.push(`${verb} of ${name} failed with ${answer.text}`);
    return undefined;
  }

  #request(method: string, where: string, body: string): Promise<{ status: number; text: string } | undefined> {
    return new Promise((resolve) => {
      const headers = body === "" ? {} : { "content-length": Buffer.byteLength(body) };
      const options = { host: "127.0.0.1", port: this.#port, method, path: where, agent: this.#agent, headers };
      const request = http.request(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        const end = (): void => resolve(response.complete ? { status: response.statusCode ?? 0, text } : undefined);
        response.on("end", end).on("error", end).on("close", end);
      });
      request.on("error", () => resolve(undefined));
      request.end(body);
    });
  }
}
