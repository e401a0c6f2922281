// The inner end of a WebSocket: what its cell has sent, in order, until it may leave.
//
// Rule (law 5): a frame leaves when the transaction in which it was sent has committed and everything that its cell knew
// then is as durable as was asked; when that transaction is rolled back, the frame was never sent. Frames of a socket leave in the order
// in which they were sent, a close frame among them.
// An end belongs to the process and not to the instance of its cell, which may be closed, discarded and opened again.
// What waits for a client is bounded: one that does not read is cut, since a close frame would stand behind what it does
// not read. Rejected: dropping single frames (the client would see a stream with holes and not know), blocking the verb
// (a slow client would then stop its cell).

import { FrondError } from "../errors.ts";
import { MAX_SOCKET_BUFFER_BYTES } from "../limits.ts";
import type { Lsn } from "../types.ts";
import { invocations } from "./invocation.ts";
import { CellSocket } from "./socket.ts";
import type { CellSockets } from "./sockets.ts";

/** Where frames wait: the log of the node. */
export interface SocketGate {
  /** The watermarks of everything that was written so far. */
  readonly lsn: Lsn;
  readonly bucketLsn: Lsn;
  /** What has these watermarks may be told now. */
  covers(lsn: Lsn, bucketLsn: Lsn): boolean;
  /** Calls `done` once it may be told, at once when it may. */
  wait(lsn: Lsn, bucketLsn: Lsn, done: () => void): void;
}

/** The connection behind a socket. Implemented by the server. */
export interface SocketLine {
  /** 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** The subprotocol that was agreed on, or "". */
  readonly protocol: string;
  /** Bytes that its client has not taken yet. */
  readonly buffered: number;
  send(data: Buffer, text: boolean): void;
  close(code: number | undefined, reason: string | undefined): void;
  /** Ends the connection without a close frame. */
  cut(): void;
}

interface Frame {
  /** Undefined: a close frame. */
  readonly data: Buffer | undefined;
  readonly text: boolean;
  readonly code: number | undefined;
  readonly reason: string | undefined;
  /** Its watermarks; `lsn` undefined: its transaction is open. */
  lsn: Lsn | undefined;
  bucketLsn: Lsn;
  dropped: boolean;
  next: Frame | undefined;
}

const NOW = 0 as Lsn;
const CLOSE = { data: undefined, text: false, lsn: undefined, bucketLsn: NOW, dropped: false, next: undefined };

/** See the head of the file. One per socket, from its acceptance to its end. */
export class SocketEnd {
  readonly set: CellSockets;
  readonly tags: readonly string[];
  /** What the code of the cell holds of it: the same object for the whole life of the socket. */
  readonly face: CellSocket;
  /** Serialized; undefined: none was given. */
  attachment: Uint8Array | undefined;
  /** When it last got an automatic answer, in ms since 1970. */
  autoRespondedMs: number | undefined;
  /** See {@link dismiss}. */
  dismissed = false;
  readonly #gate: SocketGate;
  #line: SocketLine | undefined;
  #head: Frame | undefined;
  #tail: Frame | undefined;
  #bytes = 0;
  #waiting = false;
  /** A close frame is on its way: the cell said so, or the runtime. */
  #closing: "cell" | "runtime" | undefined;
  #cut = false;
  #ended = false;

  constructor(set: CellSockets, gate: SocketGate, tags: readonly string[], attachment: Uint8Array | undefined) {
    this.set = set;
    this.#gate = gate;
    this.tags = tags;
    this.attachment = attachment;
    this.face = new CellSocket(this);
  }

  /** As WebSocket has it. An accepted socket is open for its cell: what it sends waits for the handshake. */
  get readyState(): number {
    if (this.#ended || this.#cut) return 3;
    if (this.#closing !== undefined) return Math.max(2, this.#line?.readyState ?? 2);
    return this.#line?.readyState ?? 1;
  }

  get protocol(): string {
    return this.#line?.protocol ?? "";
  }

  /** Throws SOCKET_CLOSED after `close`, MESSAGE_TOO_LARGE. To a client that has gone it sends nothing. */
  send(data: Buffer, text: boolean): void {
    if (this.#ended || this.#cut) return;
    if (this.#closing === "cell") throw new FrondError("SOCKET_CLOSED", "Can't call WebSocket send() after close().");
    if (data.length > MAX_SOCKET_BUFFER_BYTES) {
      const most = `a message of at most ${MAX_SOCKET_BUFFER_BYTES}`;
      throw new FrondError("MESSAGE_TOO_LARGE", `send() got ${data.length} bytes; a socket takes ${most}`);
    }
    if (this.readyState !== 1) return;
    this.#hold({ ...CLOSE, data, text, code: undefined, reason: undefined });
  }

  /** Closes behind what was sent; taken back with the transaction it is said in. */
  close(code: number | undefined, reason: string | undefined): void {
    if (this.readyState !== 1) return;
    this.#hold({ ...CLOSE, code, reason });
  }

  /** Sends for the runtime: no transaction has a part in it. */
  sendKnown(data: Buffer, lsn: Lsn, bucketLsn: Lsn): void {
    if (this.readyState !== 1) return;
    this.#append({ ...CLOSE, data, text: true, code: undefined, reason: undefined, lsn, bucketLsn });
  }

  /** Closes for the runtime, behind what was sent. Where the cell has closed it, too: that may be taken back yet. */
  closeKnown(code: number, reason: string, lsn = NOW, bucketLsn = NOW): void {
    if (this.#ended || this.#cut || this.#closing === "runtime") return;
    this.#closing = "runtime";
    this.#append({ ...CLOSE, code, reason, lsn, bucketLsn });
  }

  /** Closes for the runtime, and its cell never hears of it: it was deleted, and would begin anew for a farewell. */
  dismiss(code: number, reason: string, lsn: Lsn, bucketLsn: Lsn): void {
    this.dismissed = true;
    this.set.remove(this);
    this.closeKnown(code, reason, lsn, bucketLsn);
  }

  /** The handshake is done. */
  opened(line: SocketLine): void {
    this.#line = line;
    if (this.#cut) line.cut();
    else this.#drain();
  }

  /** The connection has ended, or never came to be. */
  ended(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#clear();
    this.set.remove(this);
  }

  #hold(frame: Frame): void {
    atCommit(
      this.#gate,
      (lsn, bucketLsn) => {
        frame.lsn = lsn;
        frame.bucketLsn = bucketLsn;
        this.#drain();
      },
      () => {
        frame.dropped = true;
        if (frame.data === undefined && this.#closing === "cell") this.#closing = undefined;
        this.#drain();
      },
      () => {
        if (frame.data === undefined) this.#closing = "cell";
        this.#append(frame);
      },
    );
  }

  #append(frame: Frame): void {
    this.#bytes += frame.data?.length ?? 0;
    if (this.#bytes + (this.#line?.buffered ?? 0) > MAX_SOCKET_BUFFER_BYTES) {
      this.#cut = true;
      this.#clear();
      this.#line?.cut();
      return;
    }
    if (this.#tail === undefined) this.#head = frame;
    else this.#tail.next = frame;
    this.#tail = frame;
    if (frame.lsn !== undefined) this.#drain();
  }

  #clear(): void {
    this.#head = this.#tail = undefined;
    this.#bytes = 0;
  }

  #drain(): void {
    for (let frame = this.#head; frame !== undefined; frame = this.#head) {
      if (!frame.dropped) {
        if (frame.lsn === undefined || this.#waiting || this.#line === undefined) return;
        if (!this.#gate.covers(frame.lsn, frame.bucketLsn)) return this.#wait(frame.lsn, frame.bucketLsn);
      }
      this.#head = frame.next;
      if (this.#head === undefined) this.#tail = undefined;
      this.#bytes -= frame.data?.length ?? 0;
      if (!frame.dropped) this.#leave(frame, this.#line as SocketLine);
    }
  }

  #wait(lsn: Lsn, bucketLsn: Lsn): void {
    this.#waiting = true;
    this.#gate.wait(lsn, bucketLsn, () => {
      this.#waiting = false;
      this.#drain();
    });
  }

  #leave(frame: Frame, line: SocketLine): void {
    if (frame.data !== undefined) line.send(frame.data, frame.text);
    else line.close(frame.code, frame.reason);
  }
}

/**
 * Runs `leave` with the watermarks that anybody who hears of what the running code does now has to wait for, once that is
 * committed, or `drop` if it is rolled back; `begin` before either, unless the code may do nothing any more: then it throws.
 */
export function atCommit(
  gate: SocketGate,
  leave: (lsn: Lsn, bucketLsn: Lsn) => void,
  drop: () => void,
  begin: () => void,
): void {
  const invocation = invocations.getStore();
  if (invocation === undefined || invocation.done) {
    // A timer, or what a verb has left behind: it can know everything there is, once the stretches that run have ended.
    begin();
    const cell = invocation?.cell;
    // Of an instance that was given up nothing is told. Thrown into a timer, it would be the end of the process.
    if (cell?.broken !== undefined && !cell.closed) return drop();
    setImmediate(() => leave(gate.lsn, gate.bucketLsn));
    return;
  }
  // What another verb has set in the fields must be in the log before it is told.
  const { cell } = invocation.cell.enter();
  begin();
  cell.whenCommitted(() => leave(cell.lsn, cell.bucketLsn), drop, true);
}
