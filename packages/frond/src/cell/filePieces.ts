// What `this.files.put` takes, cut into pieces.
//
// Rule: a source of whatever kind is read piece by piece and no faster than its pieces are taken; each piece has memory of
// its own, so it can be handed to another thread. What is too large is refused as soon as that is known.

import { FrondError } from "../errors.ts";
import { FILE_PIECE_BYTES, MAX_FILE_BYTES } from "../limits.ts";

/** What a file can be made of. Text is stored as UTF-8; whoever reads a stream gets bytes. */
export type FileSource = Uint8Array | string | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** Bytes that nobody else holds. */
export type Piece = Uint8Array<ArrayBuffer>;

/** Pieces are at least this long but for the last one, in bytes: a source of crumbs costs one message for many. */
const GATHERED_BYTES = 128 * 1024;

/** The bytes of a source. `check` is asked before each piece and throws what ends it. Throws FILE_TOO_LARGE and BAD_VALUE. */
export async function* piecesOf(source: FileSource, check: () => void): AsyncGenerator<Piece> {
  const stated = sizeOf(source);
  if (stated !== undefined) checkSize(stated);
  let size = 0;
  let piece = new Uint8Array(GATHERED_BYTES);
  let filled = 0;
  check();
  for await (const chunk of chunksOf(source)) {
    check();
    size += chunk.length;
    checkSize(size);
    for (let at = 0; at < chunk.length;) {
      // A long chunk goes as it is; what is short is gathered.
      const whole = filled === 0 && chunk.length - at >= GATHERED_BYTES;
      const taken = chunk.subarray(at, at + (whole ? FILE_PIECE_BYTES : GATHERED_BYTES - filled));
      at += taken.length;
      if (whole) {
        yield new Uint8Array(taken);
        continue;
      }
      piece.set(taken, filled);
      filled += taken.length;
      if (filled < GATHERED_BYTES) continue;
      yield piece;
      piece = new Uint8Array(GATHERED_BYTES);
      filled = 0;
    }
  }
  check();
  if (filled > 0) yield piece.slice(0, filled);
}

async function* chunksOf(source: FileSource): AsyncGenerator<Uint8Array> {
  if (typeof source === "string") return yield new TextEncoder().encode(source);
  if (source instanceof Uint8Array) return yield source;
  const stream = source instanceof Blob ? source.stream() : source;
  if (typeof (stream as Partial<AsyncIterable<unknown>> | null)?.[Symbol.asyncIterator] !== "function") {
    const kinds = "a Uint8Array, text, a Blob, a ReadableStream or an async iterable of Uint8Array";
    throw new FrondError("BAD_VALUE", `files.put takes ${kinds}, not ${kindOf(source)}`);
  }
  for await (const chunk of stream as AsyncIterable<unknown>) {
    if (!(chunk instanceof Uint8Array))
      throw new FrondError("BAD_VALUE", `a stream for files.put gives Uint8Array, not ${kindOf(chunk)}`);
    yield chunk;
  }
}

function sizeOf(source: FileSource): number | undefined {
  if (typeof source === "string") return Buffer.byteLength(source);
  if (source instanceof Uint8Array) return source.length;
  return source instanceof Blob ? source.size : undefined;
}

function checkSize(size: number): void {
  if (size <= MAX_FILE_BYTES) return;
  throw new FrondError(
    "FILE_TOO_LARGE",
    `a file has at most ${MAX_FILE_BYTES} bytes, and this one has ${size} or more`,
  );
}

function kindOf(value: unknown): string {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "an object") : typeof value;
}
