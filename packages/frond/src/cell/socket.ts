// What the code of a cell holds of one of its WebSockets, in the shape of a Durable Object's.
//
// Rule: what shall outlive the instance of the cell stands in the attachment, and nowhere else: fields that code hangs on
// the object are there for as long as the object happens to be.

import { deserialize, serialize } from "node:v8";
import { FrondError } from "../errors.ts";
import { MAX_ATTACHMENT_BYTES } from "../limits.ts";
import type { SocketEnd } from "./socketEnd.ts";

/** The states of a socket, as `readyState` tells them. */
const STATES = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const;

/** The longest reason of a close frame, in bytes: what the protocol leaves for it. */
const MAX_REASON_BYTES = 123;

/** A WebSocket that a cell has accepted. */
export class CellSocket {
  static readonly CONNECTING = STATES.CONNECTING;
  static readonly OPEN = STATES.OPEN;
  static readonly CLOSING = STATES.CLOSING;
  static readonly CLOSED = STATES.CLOSED;
  readonly #end: SocketEnd;

  constructor(end: SocketEnd) {
    this.#end = end;
  }

  /** For the runtime only. */
  static endOf(socket: CellSocket): SocketEnd {
    if (typeof socket === "object" && socket !== null && #end in socket) return socket.#end;
    throw new FrondError("BAD_OPTION", "this is no WebSocket that a cell has accepted");
  }

  /** 1 open, 2 closing, 3 closed; an accepted socket is open at once, what it sends waits for the handshake. */
  get readyState(): number {
    return this.#end.readyState;
  }

  /** The subprotocol that was agreed on, or "". */
  get protocol(): string {
    return this.#end.protocol;
  }

  /**
   * Sends a text or bytes. The frame leaves when the running transaction has committed and what the cell knows is durable;
   * it is dropped when the transaction is rolled back. To a client that has gone it sends nothing. Throws SOCKET_CLOSED
   * after `close`, MESSAGE_TOO_LARGE above MAX_SOCKET_BUFFER_BYTES, BAD_VALUE for anything else than text or bytes.
   */
  send(message: string | ArrayBuffer | ArrayBufferView): void {
    if (typeof message === "string") this.#end.send(encodeText(message), true);
    else this.#end.send(copyBytes(message), false);
  }

  /**
   * Closes the socket behind what was sent. A code is 1000, another one of the protocol up to 1014, or an own one from 3000 to 4999; a
   * reason needs one, and has at most 123 bytes. Throws BAD_OPTION. A socket that is closed already stays as it is.
   */
  close(code?: number, reason?: string): void {
    if (this.#end.readyState !== STATES.OPEN) return;
    if (code !== undefined && !isCloseCode(code)) {
      throw new FrondError("BAD_OPTION", `Invalid WebSocket close code: ${String(code)}.`);
    }
    if (reason !== undefined && code === undefined) {
      const message = "If you specify a WebSocket close reason, you must also specify a code.";
      throw new FrondError("BAD_OPTION", message);
    }
    if (reason !== undefined && Buffer.byteLength(reason) > MAX_REASON_BYTES) {
      const message = `WebSocket close reason must not be longer than ${MAX_REASON_BYTES} bytes when UTF-8 encoded.`;
      throw new FrondError("BAD_OPTION", message);
    }
    this.#end.close(code, reason);
  }

  /**
   * Keeps a structured clone of `value` with the socket for as long as it is open, whatever becomes of the cell's instance.
   * Throws ATTACHMENT_TOO_LARGE above MAX_ATTACHMENT_BYTES, NOT_CLONEABLE.
   */
  serializeAttachment(value: unknown): void {
    this.#end.attachment = encodeAttachment(value);
  }

  /** A fresh copy of the attachment; null when there is none. */
  deserializeAttachment(): unknown {
    const { attachment } = this.#end;
    return attachment === undefined ? null : deserialize(attachment);
  }
}

/** The bytes of an attachment. Throws ATTACHMENT_TOO_LARGE, NOT_CLONEABLE. */
export function encodeAttachment(value: unknown): Uint8Array {
  let bytes: Buffer;
  try {
    bytes = serialize(value);
  } catch (error) {
    throw new FrondError("NOT_CLONEABLE", `this cannot be attached to a WebSocket: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (bytes.length <= MAX_ATTACHMENT_BYTES) return bytes;
  throw new FrondError(
    "ATTACHMENT_TOO_LARGE",
    `A WebSocket 'attachment' cannot be larger than ${MAX_ATTACHMENT_BYTES} bytes.'attachment' was ${bytes.length} bytes.`,
  );
}

/** What may stand in a close frame: the codes of the protocol, and those that it leaves to programs. */
function isCloseCode(code: unknown): boolean {
  if (!Number.isInteger(code)) return false;
  const number = code as number;
  if (number >= 3000) return number <= 4999;
  return number >= 1000 && number <= 1014 && (number < 1004 || number > 1006);
}

/** Larger texts are encoded anew for each socket rather than kept. */
const KEPT_TEXT_BYTES = 64 * 1024;
let lastText = "";
let lastBytes = Buffer.alloc(0);

/** One text for many sockets, a broadcast, is encoded once. Nobody writes into the bytes. */
export function encodeText(text: string): Buffer {
  if (text === lastText) return lastBytes;
  const bytes = Buffer.from(text);
  if (bytes.length <= KEPT_TEXT_BYTES) {
    lastText = text;
    lastBytes = bytes;
  }
  return bytes;
}

/** A copy: the frame may leave long after its sender has written something else there. */
function copyBytes(message: unknown): Buffer {
  if (ArrayBuffer.isView(message))
    return Buffer.from(new Uint8Array(message.buffer, message.byteOffset, message.byteLength));
  if (message instanceof ArrayBuffer || message instanceof SharedArrayBuffer)
    return Buffer.from(new Uint8Array(message));
  throw new FrondError("BAD_VALUE", `a WebSocket sends a string, an ArrayBuffer or a view, not ${typeof message}`);
}
