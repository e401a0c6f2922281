// The JSON documents of the bucket: what the cluster is, who lives, who owns a slot.
//
// Rule: a reader takes over only what it has checked, and throws OBJECT_DAMAGED naming the key for anything else, OBJECT_NEWER
// for a format that it does not know. `intent` stands first, so that the first bytes of a document tell whose it is.
// Why JSON: they are small and few, and somebody who looks into a bucket at night must be able to read them.
// Fields that a reader does not know are passed over: a newer node of the same format may say more.
// The last field is a checksum of the text before it: of a number in which one digit is wrong nothing else would be seen. And a document
// that stands at another's key is refused.

import { crc32 } from "node:zlib";
import { FrondError } from "../errors.ts";
import { SLOTS } from "../limits.ts";
import type { Epoch, RunId, Seq, Slot, Txid } from "../types.ts";

/** The format of all documents. */
export const DOCUMENT_FORMAT = 1;

/** What was frozen when the cluster was created. */
export interface ClusterDocument {
  readonly intent: string;
  /** Name of the cluster, 32 hexadecimal digits: a data directory belongs to one. */
  readonly id: string;
  readonly slots: number;
  readonly hash: string;
  readonly createdMs: number;
  /** It is a copy of another bucket that is not whole yet. */
  readonly copying?: true;
}

/** A run lives, and says so by writing this again with a higher counter. */
export interface LeaseDocument {
  readonly run: RunId;
  readonly counter: number;
  /** How long the run counts as alive after it was seen to change, in ms. */
  readonly ttlMs: number;
  readonly startedMs: number;
  readonly writtenMs: number;
  /** Where the run is, for people. */
  readonly host: string;
  readonly pid: number;
  readonly version: string;
}

/** A part of a run's log in the bucket: its numbers from `from` up to but without `to`. */
export interface LogRange {
  /** Of the slot, when the run wrote this. */
  readonly epoch: Epoch;
  readonly run: RunId;
  readonly from: Seq;
  readonly to: Seq;
}

/** A run owns a slot, from here on until a record of a higher epoch. */
export interface SlotDocument {
  readonly intent: string;
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly run: RunId;
  /** The first number of the run's log that can hold records of this epoch. */
  readonly from: Seq;
  readonly appVersion: string;
  /** The epoch before, and its last surviving txid. */
  readonly before: { readonly epoch: Epoch; readonly txid: Txid };
  /** Where the history of the slot lies, oldest first. */
  readonly sources: readonly LogRange[];
  /** What came before the sources stands in checkpoints only: all epochs before, and of this one what is below `seq`. */
  readonly covered: { readonly epoch: Epoch; readonly seq: Seq } | undefined;
}

/** A cell was erased: what it held is to be nowhere any more. */
export interface ErasureDocument {
  /** SHA-256 of the address in UTF-8, 64 hexadecimal digits. */
  readonly hash: string;
  /** "" once nothing is left. */
  readonly address: string;
  /** The cell up to here is erased. */
  readonly epoch: Epoch;
  readonly txid: Txid;
  readonly erasedMs: number;
  /** Hashes of the files that it has named and that are still there. */
  readonly files: readonly string[];
  /** When it was seen that nothing is left; 0 = not yet. */
  readonly goneMs: number;
}

/** The document as bytes. `intent` comes first. */
export function encodeDocument(document: ClusterDocument | LeaseDocument | SlotDocument | ErasureDocument): Buffer {
  const { intent, ...rest } = { intent: "", ...document };
  const text = JSON.stringify({ ...(intent !== "" && { intent }), format: DOCUMENT_FORMAT, ...rest }).slice(0, -1);
  return Buffer.from(`${text},"crc":${crc32(text)}}\n`);
}

export function decodeCluster(bytes: Uint8Array, key: string): ClusterDocument {
  const at = open(bytes, key);
  return {
    intent: at.text("intent"),
    id: at.hex("id"),
    slots: at.whole("slots", 1),
    hash: at.text("hash"),
    createdMs: at.whole("createdMs"),
    ...(at.has("copying") && { copying: true as const }),
  };
}

export function decodeLease(bytes: Uint8Array, key: string): LeaseDocument {
  const at = open(bytes, key);
  at.checkKey(at.hex("run"));
  return {
    run: at.hex("run") as RunId,
    counter: at.whole("counter"),
    ttlMs: at.whole("ttlMs", 1),
    startedMs: at.whole("startedMs"),
    writtenMs: at.whole("writtenMs"),
    host: at.text("host"),
    pid: at.whole("pid"),
    version: at.text("version"),
  };
}

export function decodeSlot(bytes: Uint8Array, key: string): SlotDocument {
  const at = open(bytes, key);
  const slot = at.whole("slot");
  if (slot >= SLOTS) throw at.damaged("slot");
  const epoch = at.whole("epoch", 1) as Epoch;
  at.checkKey(`${String(slot).padStart(4, "0")}/${String(epoch).padStart(10, "0")}`);
  const before = at.inner("before");
  const previous = before.whole("epoch") as Epoch;
  if (previous >= epoch) throw at.damaged("before.epoch");
  return {
    intent: at.text("intent"),
    slot: slot as Slot,
    epoch,
    run: at.hex("run") as RunId,
    from: at.whole("from", 1) as Seq,
    appVersion: at.text("appVersion"),
    before: { epoch: previous, txid: before.whole("txid") as Txid },
    sources: decodeRanges(at.list("sources"), previous),
    covered: at.has("covered") ? decodeCovered(at.inner("covered"), previous) : undefined,
  };
}

export function decodeErasure(bytes: Uint8Array, key: string): ErasureDocument {
  const at = open(bytes, key);
  const [epoch, txid] = [at.whole("epoch", 1), at.whole("txid", 1)];
  at.checkKey(`${at.hex("hash", 64)}/${String(epoch).padStart(10, "0")}-${String(txid).padStart(16, "0")}`);
  return {
    hash: at.hex("hash", 64),
    address: at.text("address"),
    epoch: epoch as Epoch,
    txid: txid as Txid,
    erasedMs: at.whole("erasedMs"),
    files: at.texts("files"),
    goneMs: at.whole("goneMs"),
  };
}

/** Ranges in the order of their epochs, of which `last` is the highest that there was. */
function decodeRanges(list: readonly Reader[], last: Epoch): LogRange[] {
  const ranges: LogRange[] = [];
  for (const at of list) {
    const [from, to] = [at.whole("from", 1) as Seq, at.whole("to", 1) as Seq];
    if (to < from) throw at.damaged("to");
    const epoch = at.whole("epoch", 1) as Epoch;
    if (epoch < (ranges.at(-1)?.epoch ?? 1) || epoch > last) throw at.damaged("epoch");
    ranges.push({ epoch, run: at.hex("run") as RunId, from, to });
  }
  return ranges;
}

function decodeCovered(at: Reader, last: Epoch): NonNullable<SlotDocument["covered"]> {
  const epoch = at.whole("epoch", 1) as Epoch;
  if (epoch > last) throw at.damaged("epoch");
  return { epoch, seq: at.whole("seq", 1) as Seq };
}

function open(bytes: Uint8Array, key: string): Reader {
  let value: unknown;
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw new FrondError("OBJECT_DAMAGED", `${key} in the bucket is not JSON: ${(error as Error).message}`);
  }
  const at = new Reader(value, key, "");
  // Those of before have none.
  if (at.has("crc") && at.whole("crc") !== crc32(text.slice(0, text.lastIndexOf(`,"crc":`)))) throw at.damaged("crc");
  const format = at.whole("format", 1);
  if (format > DOCUMENT_FORMAT) {
    const what = `${key} in the bucket has format ${format}; this frond knows ${DOCUMENT_FORMAT}`;
    throw new FrondError("OBJECT_NEWER", `${what}. Start the newer version`);
  }
  return at;
}

/** One object of a document, its fields checked as they are read. */
class Reader {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #key: string;
  readonly #path: string;

  constructor(value: unknown, key: string, path: string) {
    this.#key = key;
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.damaged("");
    this.#value = value as Readonly<Record<string, unknown>>;
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined;
  }

  /** Throws unless the document is the one that its key names: `end` is how that ends. */
  checkKey(end: string): void {
    if (this.#key.endsWith(`/${end}`)) return;
    const what = `${this.#key} in the bucket is another document, the one of ${end}`;
    throw new FrondError("OBJECT_DAMAGED", what);
  }

  text(name: string): string {
    const value = this.#value[name];
    if (typeof value !== "string") throw this.damaged(name);
    return value;
  }

  hex(name: string, digits = 32): string {
    const value = this.text(name);
    if (value.length !== digits || !/^[0-9a-f]+$/.test(value)) throw this.damaged(name);
    return value;
  }

  texts(name: string): string[] {
    const value = this.#value[name];
    if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) throw this.damaged(name);
    return value as string[];
  }

  whole(name: string, least = 0): number {
    const value = this.#value[name];
    if (!Number.isSafeInteger(value) || (value as number) < least) throw this.damaged(name);
    return value as number;
  }

  inner(name: string): Reader {
    return new Reader(this.#value[name], this.#key, `${this.#path}${name}.`);
  }

  list(name: string): Reader[] {
    const value = this.#value[name];
    if (!Array.isArray(value)) throw this.damaged(name);
    return value.map((item, i) => new Reader(item, this.#key, `${this.#path}${name}[${i}].`));
  }

  damaged(name: string): FrondError {
    const what = `${this.#path}${name}`.replace(/\.$/, "") || "it";
    return new FrondError("OBJECT_DAMAGED", `${this.#key} in the bucket is no document of frond: ${what} is wrong`);
  }
}
