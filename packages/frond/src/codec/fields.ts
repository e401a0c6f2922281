// Reading fields out of bytes that may be anything.
//
// Rule: what a reader finds wrong becomes one FrondError that says where (file, byte), which field, and what about it.
// Damaged and newer are told apart: damaged bytes are no longer what was written, newer ones are, but only newer
// software knows what they say. A reader checks the checksum first, so that a flipped bit never looks newer.

import { type ErrorCode, FrondError } from "../errors.ts";
import { getU64, UNSAFE } from "./bytes.ts";

/** What a format calls itself in errors, and the codes it raises. */
export interface Format {
  readonly name: string;
  readonly damaged: ErrorCode;
  readonly newer: ErrorCode;
}

/** Reads numbers at offsets of `bytes`. `where` names the bytes, as the file whose first byte is `bytes[0]`. */
export class Fields {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly where: string;
  readonly #format: Format;

  constructor(bytes: Uint8Array, where: string, format: Format) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.where = where;
    this.#format = format;
  }

  u8(at: number): number {
    return this.view.getUint8(at);
  }

  u16(at: number): number {
    return this.view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** A 64-bit field of at least `least`. Damaged when it is smaller, or larger than 2^53 - 1. */
  u64(at: number, field: string, least = 0): number {
    const value = getU64(this.view, at);
    if (value === UNSAFE) throw this.damaged(at, field, "is above 2^53 - 1");
    if (value < least) throw this.damaged(at, field, `is ${value}, below ${least}`);
    return value;
  }

  /** A reserved field, which this version writes as zeros: anything else is from a newer one. */
  reserved(at: number, bytes: number): void {
    for (let i = at; i < at + bytes; i++) {
      if (this.bytes[i] !== 0) throw this.newer(i, "a reserved field", "is in use");
    }
  }

  /** Zeros that only fill up to a whole word. */
  padding(at: number, end: number): void {
    for (let i = at; i < end; i++) {
      if (this.bytes[i] !== 0) throw this.damaged(i, "the padding", `is ${this.bytes[i]}, not 0`);
    }
  }

  damaged(at: number, field: string, what: string): FrondError {
    const { name, damaged } = this.#format;
    return new FrondError(damaged, `${this.where}, byte ${at}: ${field} of the ${name} ${what}; the bytes are damaged`);
  }

  newer(at: number, field: string, what: string): FrondError {
    const { name, newer } = this.#format;
    return new FrondError(
      newer,
      `${this.where}, byte ${at}: ${field} of the ${name} ${what}; a newer version of frond wrote it: start that version`,
    );
  }
}
