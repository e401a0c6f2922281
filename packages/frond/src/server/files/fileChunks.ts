// A file of this disk, piece by piece, for the file thread: synchronous reads, with a turn of the event loop in between.

import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { FILE_PIECE_BYTES } from "../../limits.ts";

/** The bytes of `file`, in pieces of at most FILE_PIECE_BYTES. */
export async function* chunksOfFile(file: string): AsyncGenerator<Uint8Array> {
  const fd = fs.openSync(file, "r");
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(FILE_PIECE_BYTES);
      const read = fs.readSync(fd, chunk, 0, chunk.length, null);
      if (read === 0) return;
      yield chunk.subarray(0, read);
      await setImmediate();
    }
  } finally {
    fs.closeSync(fd);
  }
}
