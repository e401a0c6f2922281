// Files over the control socket: what a command gives to the node, and what it gets.
//
// Rule: a file stands in the folder tmp/ of the data directory while it is made or used, and nowhere afterwards; the node never
// opens a path that a command names, for it may run as another user, or see other folders. What is to be told of a file
// that is sent goes before it, in a header.

import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { fullDisk } from "../durably.ts";

/** What is known of a file that is sent. */
export interface Sent {
  /** Its size. */
  readonly bytes: number;
}

/** Where a file is kept meanwhile: below this data directory, with this end of its name. */
export interface Kept {
  readonly directory: string;
  readonly suffix: string;
}

const RESULT_HEADER = "x-frond-result";

/** Answers with the file that `make` writes, and with what it returns. */
export async function sendFile(
  outgoing: ServerResponse,
  kept: Kept,
  make: (file: string) => Promise<Sent>,
): Promise<void> {
  await withPath(kept, async (file) => {
    const sent = await make(file);
    outgoing.writeHead(200, {
      "content-type": "application/octet-stream",
      "content-length": sent.bytes,
      [RESULT_HEADER]: encodeURIComponent(JSON.stringify(sent)),
    });
    await pipeline(createReadStream(file), outgoing);
  });
}

/** What the node has told of the file that it sends. */
export function resultOf(answer: IncomingMessage): unknown {
  return JSON.parse(decodeURIComponent(String(answer.headers[RESULT_HEADER])));
}

/** Hands the body to `use`, as a file. Throws DISK_FULL, and what `use` throws. */
export function receiveFile<T>(incoming: IncomingMessage, kept: Kept, use: (file: string) => Promise<T>): Promise<T> {
  return withPath(kept, async (file) => {
    try {
      await pipeline(incoming, createWriteStream(file, { flags: "wx", mode: 0o600 }));
    } catch (error) {
      throw fullDisk(error, "the file");
    }
    return use(file);
  });
}

async function withPath<T>({ directory, suffix }: Kept, work: (file: string) => Promise<T>): Promise<T> {
  const folder = path.join(directory, "tmp");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `passing-${randomUUID()}${suffix}`);
  try {
    return await work(file);
  } finally {
    await rm(file, { force: true });
  }
}
