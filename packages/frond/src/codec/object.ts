// The container of all binary objects in the bucket: segments, seals, packs, snapshots, checkpoints. The byte tables are in
// docs/formats.md.
//
//   header | block | block | ... | footer | trailer
//
// Rule: an object holds whole records of codec/record.ts and nothing else, and can be read from behind: the trailer tells
// where the footer is, the footer where each record lies and what it is about, so a reader fetches the blocks that it
// needs and no others. Everything is under a checksum that is looked at before anything is believed.
// The header is in the footer once more: whoever read only the end of an object knows that it is the right one.
// Rejected: a format for each kind (a pack is a segment whose records were merged, a snapshot one cell's pages in many
// records), an index by address (the heads of all records are one GET, and say more).

import { crc32 } from "node:zlib";
import { assert } from "../assert.ts";
import type { RunId } from "../types.ts";
import { putU64 } from "./bytes.ts";
import { Fields, type Format } from "./fields.ts";
import { OBJECT_HEADER, RUN_ID_BYTES } from "./layout.ts";

export const OBJECT_MAGIC = "FRONDOBJ";
export const OBJECT_VERSION = 1;
export const OBJECT_HEADER_BYTES = 64;
export const TRAILER_BYTES = 32;
export const TRAILER_MAGIC = 0x444e4546; // "FEND"
/** Bytes of the id of an intent: who wanted to create this object. */
export const INTENT_BYTES = 16;

/** How objects call themselves in errors, and the codes that they raise. */
export const OBJECT_FORMAT: Format = { name: "object", damaged: "OBJECT_DAMAGED", newer: "OBJECT_NEWER" };

/** Kinds of objects; each one's number in the header is its place in here, plus 1. */
const KINDS = ["segment", "seal", "pack", "snapshot", "checkpoint"] as const;
export type ObjectKind = (typeof KINDS)[number];

/** What the first bytes of an object say. */
export interface ObjectHeader {
  readonly kind: ObjectKind;
  /** INTENT_BYTES bytes: no two intents have the same. */
  readonly intent: Uint8Array;
  /** The run that wrote it. */
  readonly runId: RunId;
  /**
   * Of a segment or seal its seq, of a pack that of the first segment in it, of a snapshot the txid that it stands at, of a
   * checkpoint the seq in its key.
   */
  readonly number: number;
}

/** The header as bytes. */
export function encodeObjectHeader(header: ObjectHeader): Buffer {
  const bytes = Buffer.alloc(OBJECT_HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const run = Buffer.from(header.runId, "hex");
  assert(header.intent.length === INTENT_BYTES, `the id of an intent has ${INTENT_BYTES} bytes`);
  assert(run.length === RUN_ID_BYTES && run.toString("hex") === header.runId, `a run id has ${RUN_ID_BYTES} bytes`);
  bytes.write(OBJECT_MAGIC, OBJECT_HEADER.magic, "latin1");
  view.setUint16(OBJECT_HEADER.version, OBJECT_VERSION, true);
  view.setUint8(OBJECT_HEADER.kind, KINDS.indexOf(header.kind) + 1);
  view.setUint32(OBJECT_HEADER["header bytes"], OBJECT_HEADER_BYTES, true);
  bytes.set(header.intent, OBJECT_HEADER.intent);
  bytes.set(run, OBJECT_HEADER["run id"]);
  putU64(view, OBJECT_HEADER.number, header.number);
  view.setUint32(OBJECT_HEADER.checksum, crc32(bytes.subarray(0, OBJECT_HEADER.checksum)), true);
  return bytes;
}

/**
 * Reads the header at the start of an object, whose key is `where`. Throws OBJECT_DAMAGED unless it is a whole and sound
 * one, OBJECT_NEWER if it is, but of a later version or of a kind that this program does not know.
 */
export function decodeObjectHeader(bytes: Uint8Array, where: string): ObjectHeader {
  const fields = new Fields(bytes, where, OBJECT_FORMAT);
  if (bytes.length < OBJECT_HEADER_BYTES) throw fields.damaged(bytes.length, "the header", "is cut off");
  for (let i = 0; i < OBJECT_MAGIC.length; i++) {
    if (bytes[i] !== OBJECT_MAGIC.charCodeAt(i)) throw fields.damaged(i, "the magic", `is not ${OBJECT_MAGIC}`);
  }
  const crc = crc32(bytes.subarray(0, OBJECT_HEADER.checksum));
  if (fields.u32(OBJECT_HEADER.checksum) !== crc) {
    throw fields.damaged(OBJECT_HEADER.checksum, "the checksum of the header", "does not match");
  }
  const version = fields.u16(OBJECT_HEADER.version);
  if (version === 0) throw fields.damaged(OBJECT_HEADER.version, "the version", "is 0");
  if (version > OBJECT_VERSION) throw fields.newer(OBJECT_HEADER.version, "the version", `is ${version}`);
  const number = fields.u8(OBJECT_HEADER.kind);
  if (number === 0) throw fields.damaged(OBJECT_HEADER.kind, "the kind", "is 0");
  const kind = KINDS[number - 1];
  if (kind === undefined) throw fields.newer(OBJECT_HEADER.kind, "the kind", `is ${number}`);
  const headerBytes = fields.u32(OBJECT_HEADER["header bytes"]);
  if (headerBytes !== OBJECT_HEADER_BYTES) {
    throw fields.damaged(OBJECT_HEADER["header bytes"], "the size of the header", `is ${headerBytes}`);
  }
  fields.reserved(OBJECT_HEADER["reserved 1"], 1);
  fields.reserved(OBJECT_HEADER["reserved 2"], 4);
  const { intent, "run id": run } = OBJECT_HEADER;
  return {
    kind,
    intent: Uint8Array.from(bytes.subarray(intent, intent + INTENT_BYTES)),
    runId: Buffer.from(bytes.subarray(run, run + RUN_ID_BYTES)).toString("hex") as RunId,
    number: fields.u64(OBJECT_HEADER.number, "the number"),
  };
}
