// A file of a cell while it is read.
//
// Rule: it is read piece by piece as its reader asks, so a reader that stops holds one piece. A file that is read from its
// first byte to its last is compared with its name on the way: the last piece is given only when the whole is right.
// Read whole, it is an answer like any other: who reads it goes on when no scope has the cell (S15).

import { createHash, type Hash } from "node:crypto";
import { FrondError } from "../errors.ts";
import { FILE_PIECE_BYTES } from "../limits.ts";
import type { FileRow } from "../store/fileRows.ts";
import { invocations } from "./invocation.ts";
import type { LiveCell } from "./live.ts";

/** What is read of a file: bytes from `from` up to but not including `to`. */
export interface FileRange {
  readonly from?: number;
  readonly to?: number;
}

/** Where the bytes of files come from: see FileStore. */
type Read = (hash: string, from: number, bytes: number) => Promise<Uint8Array | undefined>;

/** A file, or a part of it, that can be read once: as a stream, as bytes or as text. */
export class FileBody {
  readonly hash: string;
  /** Bytes of the whole file, whatever part of it is read. */
  readonly size: number;
  readonly type: string | undefined;
  readonly name: string | undefined;
  /** The bytes. A failure on the way is that of the stream: BUCKET_FAILED, FILE_MISSING, OBJECT_DAMAGED. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #cell: LiveCell;

  private constructor(cell: LiveCell, row: FileRow, stream: ReadableStream<Uint8Array>) {
    this.#cell = cell;
    this.hash = row.hash;
    this.size = row.size;
    this.type = row.type ?? undefined;
    this.name = row.name ?? undefined;
    this.stream = stream;
  }

  /** For the runtime only: resolves when the first piece is there. */
  static async open(
    cell: LiveCell,
    row: FileRow,
    { from = 0, to = row.size }: FileRange,
    read: Read,
  ): Promise<FileBody> {
    const pieces = piecesOf(cell, row, from, Math.min(to, row.size), read);
    // What is missing or cannot be reached is told now, and not in the middle of an answer.
    let next: IteratorResult<Uint8Array> | undefined = await pieces.next();
    const stream = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = next ?? (await pieces.next());
          next = undefined;
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
        cancel() {
          next = undefined;
        },
      },
      { highWaterMark: 0 },
    );
    return new FileBody(cell, row, stream);
  }

  /** All of it in memory. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    const reading = invocations.getStore();
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of this.stream) chunks.push(chunk);
      return new Uint8Array(Buffer.concat(chunks)).buffer;
    } finally {
      if (reading !== undefined) await this.#cell.closedTo(reading);
    }
  }

  /** All of it as text, read as UTF-8. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }
}

async function* piecesOf(
  cell: LiveCell,
  row: FileRow,
  from: number,
  to: number,
  read: Read,
): AsyncGenerator<Uint8Array> {
  const { hash, size } = row;
  const sum = from === 0 && to === size ? createHash("sha256") : undefined;
  for (let at = from; at < to;) {
    const wanted = Math.min(FILE_PIECE_BYTES, to - at);
    const piece = await read(hash, at, wanted);
    if (piece === undefined) {
      const what = `${cell.address} names the file ${hash}, which is not in the bucket`;
      throw new FrondError("FILE_MISSING", `${what}: somebody has removed it, or the bucket is another one`);
    }
    at += piece.length;
    if (piece.length < wanted) throw damaged(row, `it ends after ${at} bytes`);
    if (sum !== undefined) checkSum(sum, piece, row, at === size);
    yield piece;
  }
}

function checkSum(sum: Hash, piece: Uint8Array, row: FileRow, isLast: boolean): void {
  sum.update(piece);
  if (!isLast) return;
  const found = sum.digest("hex");
  if (found !== row.hash) throw damaged(row, `its SHA-256 is ${found}`);
}

function damaged({ hash, size }: FileRow, why: string): FrondError {
  return new FrondError("OBJECT_DAMAGED", `files/${hash} in the bucket is not the file of ${size} bytes: ${why}`);
}
