// Open WebSocket connections, whoever they belong to: what comes in, whether the other side still lives, and their end.
//
// Rule: a connection is read only as fast as its owner takes what comes, and whoever does not answer two pings is gone. At
// a stop each owner closes with 1012 behind what it has sent; what is left after a moment is cut, unless it is busy.
// Pings are spread over their interval: ten thousand at once would hold up everything else.
// Compression stays off: it costs each connection tens to hundreds of kilobytes and the thread that runs the cells a
// multiple of what a frame costs without it; small messages gain nothing.

import type { WebSocket } from "ws";
import type { SocketLine } from "../../cell/socketEnd.ts";
import type { Clock } from "../../clock.ts";
import { LINGER_MS, SOCKET_MISSED_PONGS, SOCKET_PING_MS } from "../../limits.ts";

/** Whoever a connection belongs to. */
export interface ConnectionOwner {
  /** Its client waits for something that is in work: a stop leaves it the time that requests have. */
  readonly busy?: boolean;
  message(data: string | ArrayBuffer): void;
  /** The other side broke the protocol or a limit; the end follows. */
  failed(error: Error): void;
  /** Called once, last. 1006: without a close frame. */
  ended(code: number, reason: string, wasClean: boolean): void;
  /** The node stops: close with `code` behind what was sent. */
  stopping(code: number, reason: string): void;
}

/** What the close of a stopping node says: "service restart", come back. */
const RESTART = 1012;
const NO_CLOSE_FRAME = "WebSocket disconnected without sending Close frame.";

/** One open connection. */
export class Connection implements SocketLine {
  readonly #ws: WebSocket;
  #missed = 0;

  constructor(
    ws: WebSocket,
    owner: ConnectionOwner,
    delivering: (connection: Connection | undefined) => void,
    ended: (connection: Connection) => void,
  ) {
    this.#ws = ws;
    ws.binaryType = "arraybuffer";
    ws.on("message", (data: ArrayBuffer | Buffer, binary: boolean) => {
      this.#missed = 0;
      delivering(this);
      owner.message(binary ? (data as ArrayBuffer) : (data as Buffer).toString());
      delivering(undefined);
    });
    const alive = (): void => void (this.#missed = 0);
    ws.on("pong", alive).on("ping", alive);
    ws.on("error", (error) => owner.failed(error));
    ws.on("close", (code, reason) => {
      ended(this);
      if (code === 1006) owner.ended(code, NO_CLOSE_FRAME, false);
      else owner.ended(code, reason.toString(), true);
    });
  }

  get readyState(): number {
    return this.#ws.readyState;
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  get buffered(): number {
    return this.#ws.bufferedAmount;
  }

  send(data: Buffer, text: boolean): void {
    this.#ws.send(data, { binary: !text });
  }

  close(code: number | undefined, reason: string | undefined): void {
    this.#ws.close(code, reason);
  }

  cut(): void {
    this.#ws.terminate();
  }

  /** Nothing more is read, beyond what has arrived in this process, until `resume`. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Asks whether the other side lives; cuts the connection when it has not answered for too long. */
  ping(): void {
    if (this.#ws.isPaused) {
      // Its pongs are not read either.
      this.#missed = 0;
      return;
    }
    if (this.#missed >= SOCKET_MISSED_PONGS) return this.cut();
    this.#missed += 1;
    if (this.#ws.readyState === 1) this.#ws.ping();
  }
}

/** Parts of the interval between pings: each connection belongs to one. Count. */
const SLICES = 30;

/** The open connections of a front door. */
export class Connections {
  readonly #clock: Clock;
  readonly #slices = Array.from({ length: SLICES }, () => new Set<Connection>());
  readonly #owners = new Map<Connection, ConnectionOwner>();
  /** Whose message is being handed over. */
  #delivering: Connection | undefined;
  #next = 0;
  #opened = 0;
  #ticking = false;
  #whenNone: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#owners.size;
  }

  /** Takes over a connection whose handshake is done. */
  open(ws: WebSocket, owner: ConnectionOwner): Connection {
    const slice = this.#slices[this.#opened++ % SLICES] as Set<Connection>;
    const delivering = (one: Connection | undefined): void => void (this.#delivering = one);
    const connection = new Connection(ws, owner, delivering, (ended) => {
      slice.delete(ended);
      this.#owners.delete(ended);
      if (this.#owners.size === 0) this.#whenNone?.();
    });
    slice.add(connection);
    this.#owners.set(connection, owner);
    if (!this.#ticking) this.#tick();
    return connection;
  }

  /** What handled a message was ended by force: its connection reads nothing any more, and is cut. */
  brokenOff(): void {
    this.#delivering?.cut();
    this.#delivering = undefined;
  }

  /** Closes all with 1012; resolves when they are gone, at the latest after a moment, those that are busy after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (this.count === 0) return;
    const none = new Promise<void>((resolve) => (this.#whenNone = resolve));
    for (const owner of this.#owners.values()) owner.stopping(RESTART, "the node is restarting");
    const cut = (busyToo: boolean): void => {
      for (const [connection, owner] of this.#owners) if (busyToo || owner.busy !== true) connection.cut();
    };
    const timers = [setTimeout(cut, LINGER_MS, false), setTimeout(cut, Math.max(LINGER_MS, graceMs), true)];
    await none;
    for (const timer of timers) clearTimeout(timer);
  }

  #tick(): void {
    this.#ticking = this.count > 0;
    if (!this.#ticking) return;
    this.#clock.after(SOCKET_PING_MS / SLICES, () => {
      this.#next = (this.#next + 1) % SLICES;
      for (const connection of this.#slices[this.#next] as Set<Connection>) connection.ping();
      this.#tick();
    });
  }
}
