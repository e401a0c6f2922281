// Messages between the network and their mailboxes, within a bound of memory.
//
// Rule: every byte is counted from when it is read until its message is delivered or given up. What is beyond a bound is
// read and thrown away, so that the client hears the reply where it waits for it: after its last byte.

/** A message is larger than one may be. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}

/** All messages together are more than may be under way; the same message can be taken later. */
export class TooMuch extends Error {
  override readonly name = "TooMuch";
}

/** The client left before the end of its message. */
export class BrokenOff extends Error {
  override readonly name = "BrokenOff";
}

/** Reads messages and counts what they hold. */
export class Incoming {
  readonly #largest: number;
  readonly #most: number;
  #held = 0;

  /** `largest`: bytes of one message; `most`: bytes of all that are under way. */
  constructor(largest: number, most: number) {
    this.#largest = largest;
    this.#most = most;
  }

  /**
   * Reads a whole message and passes it to `work`; its bytes count until `work` is done. Throws TooLarge, TooMuch and
   * BrokenOff.
   */
  async take(stream: AsyncIterable<Buffer>, work: (raw: Uint8Array) => Promise<void>): Promise<void> {
    let chunks: Buffer[] = [];
    let length = 0;
    let held = 0;
    let refusal: Error | undefined;
    try {
      for await (const chunk of unbroken(stream)) {
        length += chunk.length;
        if (length > this.#largest) refusal = new TooLarge(`larger than ${this.#largest} bytes`);
        else if (refusal === undefined && this.#held + chunk.length > this.#most)
          refusal = new TooMuch("too much under way");
        if (refusal === undefined) {
          chunks.push(chunk);
          held += chunk.length;
          this.#held += chunk.length;
        } else chunks = [];
      }
      if (refusal !== undefined) throw refusal;
      const raw = joined(chunks, length);
      chunks = [];
      await work(raw);
    } finally {
      this.#held -= held;
    }
  }
}

async function* unbroken(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* stream;
  } catch (error) {
    throw new BrokenOff((error as Error).message, { cause: error });
  }
}

// Memory of its own: a slice of a pool would be cloned with all its neighbours.
function joined(chunks: readonly Buffer[], length: number): Uint8Array {
  const raw = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    raw.set(chunk, offset);
    offset += chunk.length;
  }
  return raw;
}
