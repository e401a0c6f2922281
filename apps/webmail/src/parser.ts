// postal-mime with bounds: what a message costs to take apart goes by its bytes, not by how its sender cut them up.
//
// Rule: the lines of a part are gathered in one buffer, a message has at most MAX_PARTS parts, and messages are taken apart
// one after the other, as the one thread would do anyway, so that the memory of one is free before the next.
// Why: postal-mime keeps each line of a part (or each padded unit of its base64) as an object of its own and joins them
// through a Blob: 2 MiB of empty lines held the process for 25 s and 4 GB, and 10 MiB would have ended it.
// Rejected: refusing messages with many lines (a long log is an honest message), a worker thread (it would bound the time,
// not the memory). The bodies are put in at the one place where postal-mime chooses how to decode a part; if an update of
// it has no such place any more, this module does not load. There it is noted, too, where a body stands in the message.

import PostalMime, { type Email } from "postal-mime";

/** Most parts of a message, those of messages within it included. Count. */
export const MAX_PARTS = 1000;

/** Most bytes of all headers together: a list of thousands of recipients. Reading addresses takes the longest of all. */
const MAX_HEADER_BYTES = 512 * 1024;

/** What postal-mime asks of whatever takes the lines of a part; lines come without their ends. */
interface Body {
  update(line: Uint8Array): void;
  finalize(): Promise<ArrayBuffer>;
}

interface Part {
  contentDecoder: Body | null;
  setupContentDecoder(encoding: string): void;
}

/** A piece of a raw message, in bytes. */
export interface Extent {
  readonly at: number;
  readonly size: number;
}

const FIRST_BUFFER_BYTES = 1024;
const LINE_FEED = 0x0a;

let parts = 0;
/** Bytes of the message that is taken apart: lines of messages within it come from shorter memory. */
let wholeLength = 0;
const extents = new WeakMap<ArrayBuffer, Extent>();
let last: Promise<unknown> = Promise.resolve();

boundParts();

/** Takes a raw message apart. Rejects if it has more than MAX_PARTS parts, is nested without end, or has more than MAX_HEADER_BYTES of headers. */
export function parseBounded(raw: Uint8Array): Promise<Email> {
  const mine = last.then(() => {
    parts = 0;
    wholeLength = raw.byteLength;
    return PostalMime.parse(raw, { maxHeadersSize: MAX_HEADER_BYTES });
  });
  last = mine.catch(() => undefined);
  return mine;
}

/** Where the body with this decoded content stands in its raw message, as sent; undefined: in a message within it, or it is empty. */
export function extentOf(content: ArrayBuffer): Extent | undefined {
  return extents.get(content);
}

// Once for all messages: parts are made deep inside of postal-mime.
function boundParts(): void {
  const { root } = new PostalMime() as unknown as { root?: Part };
  if (typeof root?.setupContentDecoder !== "function") {
    throw new Error("this version of postal-mime has no setupContentDecoder: see apps/webmail/src/parser.ts");
  }
  const prototype = Object.getPrototypeOf(root) as Part;
  const original = prototype.setupContentDecoder;
  prototype.setupContentDecoder = function setUp(this: Part, encoding: string): void {
    if (++parts > MAX_PARTS) throw new Error(`it has more than ${MAX_PARTS} parts`);
    // Its decoder of quoted-printable gathers in large pieces by itself.
    if (/quoted-printable/i.test(encoding)) original.call(this, encoding);
    else this.contentDecoder = /base64/i.test(encoding) ? new Base64Body() : new PlainBody();
    if (this.contentDecoder !== null) this.contentDecoder = new PlacedBody(this.contentDecoder);
  };
}

/** A body of which it is known where it stands. */
class PlacedBody implements Body {
  readonly #body: Body;
  #from: number | undefined;
  #to = 0;

  constructor(body: Body) {
    this.#body = body;
  }

  update(line: Uint8Array): void {
    if (line.buffer.byteLength === wholeLength) {
      this.#from ??= line.byteOffset;
      this.#to = line.byteOffset + line.byteLength;
    }
    this.#body.update(line);
  }

  async finalize(): Promise<ArrayBuffer> {
    const content = await this.#body.finalize();
    if (this.#from !== undefined) extents.set(content, { at: this.#from, size: this.#to - this.#from });
    return content;
  }
}

/** Lines with their ends, in one buffer that doubles. */
class PlainBody implements Body {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
  #length = 0;

  update(line: Uint8Array): void {
    const end = this.#length + line.length;
    if (end >= this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * end);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.set(line, this.#length);
    this.#bytes[end] = LINE_FEED;
    this.#length = end + 1;
  }

  finalize(): Promise<ArrayBuffer> {
    return Promise.resolve(ownMemory(this.bytes()));
  }

  protected bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** The same, and what it says in base64. Padding may stand within: some mailers pad each line. */
class Base64Body extends PlainBody {
  override finalize(): Promise<ArrayBuffer> {
    const text = this.bytes()
      .toString("latin1")
      .replace(/[^a-zA-Z0-9+/=]+/g, "");
    const decoded = Buffer.allocUnsafeSlow(text.length);
    let length = 0;
    for (let from = 0; from < text.length;) {
      const padding = text.indexOf("=", from);
      const to = padding === -1 ? text.length : padding;
      if (to > from) length += decoded.write(text.slice(from, to), length, "base64");
      from = to + 1;
    }
    return Promise.resolve(ownMemory(decoded.subarray(0, length)));
  }
}

function ownMemory(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
