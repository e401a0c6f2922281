// Where each field of a record, a batch and a log file stands: the tables of docs/formats.md, as the code uses them.
//
// Rule: a number in here never changes; what changes gets a new version or a new section. A test compares each table
// with the one in the document, so neither can drift from the other.

export const RECORD_MAGIC = 0x43455246; // "FREC"
export const RECORD_VERSION = 1;
export const RECORD_HEADER_BYTES = 48;
export const RECORD_CRC_BYTES = 4;
export const SECTION_HEADER_BYTES = 8;
export const RUN_ID_BYTES = 16;

/** Types of records. */
export const TYPE_COMMIT = 1;
export const TYPE_CLAIM = 2;

/** Types of sections, and the flag of those that a reader must not pass over. */
export const SECTION_CELL = 1;
export const SECTION_CHANGE = 2;
export const SECTION_CLAIM = 3;
export const SECTION_BASE = 4;
export const MUST_UNDERSTAND = 1;

/** Where the fields of a record's header start, in bytes. */
export const RECORD_HEADER = {
  magic: 0,
  length: 4,
  version: 8,
  type: 9,
  slot: 10,
  sections: 12,
  epoch: 16,
  txid: 24,
  time: 32,
  reserved: 40,
} as const;

/** Where the fields of a section's header start, in bytes. */
export const SECTION_HEADER = { type: 0, flags: 2, length: 4 } as const;

/** Where the fields of a CELL section start in its payload, in bytes. */
export const CELL_SECTION = {
  "address bytes": 0,
  reserved: 2,
  "page size": 4,
  "page count": 8,
  "salt 1": 12,
  "salt 2": 16,
  "WAL end": 20,
  previous: 28,
  pages: 36,
  address: 40,
} as const;

/** Where the fields of a CHANGE section start in its payload, in bytes. */
export const CHANGE_SECTION = { what: 0, reserved: 1, "address bytes": 2, value: 4, address: 12 } as const;

/** Where the fields of a CLAIM section start in its payload, in bytes. */
export const CLAIM_SECTION = { "previous epoch": 0, "last txid": 8, run: 16, "run id": 24 } as const;
/** Bytes of the payload of a CLAIM section. */
export const CLAIM_PAYLOAD = CLAIM_SECTION["run id"] + RUN_ID_BYTES;

/** Where the fields of a BASE section start in its payload, in bytes. */
export const BASE_SECTION = { cell: 0, attempt: 4, epoch: 8, txid: 16 } as const;
/** Bytes of the payload of a BASE section. */
export const BASE_PAYLOAD = 24;

/** Where the fields of a log file's header start, in bytes. */
export const LOG_FILE_HEADER = {
  magic: 0,
  version: 8,
  "header bytes": 10,
  "reserved 1": 12,
  file: 16,
  run: 24,
  lsn: 32,
  created: 40,
  "reserved 2": 48,
  checksum: 60,
} as const;

/** Where the fields of a batch's header start, in bytes. */
export const LOG_BATCH_HEADER = {
  magic: 0,
  payload: 4,
  lsn: 8,
  durable: 16,
  records: 24,
  run: 28,
  checksum: 36,
} as const;

/** Where the fields of the header of a binary object in the bucket start, in bytes. */
export const OBJECT_HEADER = {
  magic: 0,
  version: 8,
  kind: 10,
  "reserved 1": 11,
  "header bytes": 12,
  intent: 16,
  "run id": 32,
  number: 48,
  "reserved 2": 56,
  checksum: 60,
} as const;

/** Where the fields at the beginning of an object's footer start, in bytes, and how many bytes they take. */
export const OBJECT_FOOTER = {
  header: 0,
  "from lsn": 64,
  "to lsn": 72,
  created: 80,
  blocks: 88,
  records: 92,
  first: 96,
  last: 104,
} as const;
export const OBJECT_FOOTER_BYTES = 112;

/** Where the fields of a block's entry in the footer start, in bytes, and how many bytes they take. */
export const OBJECT_BLOCK = { offset: 0, stored: 8, raw: 12, checksum: 16 } as const;
export const OBJECT_BLOCK_BYTES = 20;

/** Where the fields of a record's entry in the footer start, in bytes. */
export const OBJECT_RECORD = { block: 0, offset: 4, length: 8, "head bytes": 12, head: 16 } as const;

/** Where the fields of an object's trailer start, in bytes. */
export const OBJECT_TRAILER = {
  footer: 0,
  stored: 8,
  raw: 12,
  "footer checksum": 16,
  reserved: 20,
  checksum: 24,
  magic: 28,
} as const;
