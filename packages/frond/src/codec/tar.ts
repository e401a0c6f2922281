// The archive of an exported cell: a tar file, as POSIX has it (ustar), which every system unpacks.
//
// Rule: an archive holds `cell.db` first, then `files/<hash>` for each file that it names, and nothing else; so a header needs
// a short name, a size and a checksum, and this is all of the format that stands here. Reading is as narrow: an entry
// of another kind is damage.
//
//   header, 512 bytes     name 0 (100) · mode 100 (8) · uid 108 (8) · gid 116 (8) · size 124 (12) · mtime 136 (12)
//                         checksum 148 (8) · type 156 (1) · `ustar\0` 257 · `00` 263
//   content, padded with zeros to 512 bytes; at the end of the archive 1,024 zeros
//
// Numbers are octal text; a size of 8 GiB or more is binary, with the highest bit of its field set (as GNU tar has it).
// Rejected: tar-stream (its dependencies bring the file layer of another runtime along, for one header), zip (no
// streaming without a second copy of every size).

import { FrondError } from "../errors.ts";

/** Bytes of a header, and of what contents are padded to. */
export const TAR_BLOCK = 512;
/** What stands behind the last entry. */
export const TAR_END = Buffer.alloc(2 * TAR_BLOCK);

const MAX_NAME = 100;
const MAX_OCTAL_SIZE = 8 ** 11;
const FILE_TYPE = 0x30;

/** An entry of an archive. */
export interface TarEntry {
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
}

/** Zeros behind a content of `size` bytes. Count. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/** The header of an entry. `mtimeMs`: ms since 1970. */
export function encodeTarHeader({ name, size }: TarEntry, mtimeMs: number): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  if (header.write(name, 0, "latin1") > MAX_NAME) throw new RangeError(`${name} is too long for an entry`);
  header.write("0000600\0", 100, "latin1");
  header.write("0000000\0", 108, "latin1");
  header.write("0000000\0", 116, "latin1");
  if (size < MAX_OCTAL_SIZE) header.write(`${octal(size, 11)}\0`, 124, "latin1");
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  header.write(`${octal(Math.floor(mtimeMs / 1000), 11)}\0`, 136, "latin1");
  header[156] = FILE_TYPE;
  header.write("ustar\x0000", 257, "latin1");
  header.write(`${octal(sumOf(header), 6)}\0 `, 148, "latin1");
  return header;
}

/** Reads the header of an entry; undefined: the archive ends here. Throws OBJECT_DAMAGED, naming `what`. */
export function decodeTarHeader(header: Buffer, what: string): TarEntry | undefined {
  const damaged = (why: string): FrondError =>
    new FrondError("OBJECT_DAMAGED", `${what} is no archive of a cell: ${why}`);
  if (header.length < TAR_BLOCK) throw damaged("it ends in the middle of a header");
  if (header.every((byte) => byte === 0)) return undefined;
  const stated = Number.parseInt(header.toString("latin1", 148, 154), 8);
  if (stated !== sumOf(header)) throw damaged("the checksum of a header does not fit");
  const name = header.toString("latin1", 0, MAX_NAME).replace(/\0.*$/s, "");
  const type = header[156];
  if (type !== FILE_TYPE && type !== 0) throw damaged(`${name} is not a file`);
  const size =
    header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : octalOf(header.toString("latin1", 124, 135));
  if (!Number.isSafeInteger(size)) throw damaged(`${name} states no size`);
  return { name, size };
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function octalOf(text: string): number {
  return /^[0-7]+[ \0]*$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/** The sum of the bytes, with the checksum itself as spaces. */
function sumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK; at++) sum += at >= 148 && at < 156 ? 0x20 : (header[at] as number);
  return sum;
}
