// Large files are cut out of raw messages: the mailbox keeps them as files of its cell and not in its database.
//
// Rule: what is cut out is the body of a part as it was sent, encoding and line ends included, so that the message is put
// together again byte for byte. What remains is a message, too: the same parts in the same order, of which some are empty;
// it is all that a list, a search or a page without pictures needs.
// Rejected: the decoded file in place of the body (base64 can be written in many ways, and the message would not be the one
// that was sent).

import type { MailFile, ParsedMail } from "./message.ts";

/** Files above this size are kept apart, in bytes: below it a row of the database costs less than an object of its own. */
export const MAX_INLINE_FILE = 256 * 1024;

/** What is cut out of a raw message. */
export interface Cut {
  /** Where it stands in the whole message, and how long it is there, in bytes. */
  readonly at: number;
  readonly size: number;
  /** Which file of the message it is, from 0, and how many bytes that has when it is decoded. */
  readonly file: number;
  readonly bytes: number;
}

/** What is to be cut out of a message with these files, in its order. */
export function cutsOf(files: readonly MailFile[]): Cut[] {
  return files
    .flatMap(({ place, size }, file) =>
      place === undefined || size <= MAX_INLINE_FILE ? [] : [{ ...place, file, bytes: size }],
    )
    .sort((a, b) => a.at - b.at);
}

/** The raw message without what is cut out of it. */
export function withoutCuts(raw: Uint8Array, cuts: readonly Cut[]): Uint8Array {
  if (cuts.length === 0) return raw;
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const cut of cuts) {
    kept.push(raw.subarray(at, cut.at));
    at = cut.at + cut.size;
  }
  return joined([...kept, raw.subarray(at)]);
}

/** The whole message: `rest`, and the pieces that were cut out of it, in the order of the cuts. */
export function putBack(rest: Uint8Array, cuts: readonly Cut[], pieces: readonly Uint8Array[]): Uint8Array {
  if (cuts.length === 0) return rest;
  const all: Uint8Array[] = [];
  let taken = 0;
  let missing = 0;
  for (const [i, { at, size }] of cuts.entries()) {
    all.push(rest.subarray(taken, at - missing), pieces[i] as Uint8Array);
    taken = at - missing;
    missing += size;
  }
  return joined([...all, rest.subarray(taken)]);
}

/** What was taken apart of the rest of a message, with the sizes that its files have. */
export function withSizes(mail: ParsedMail, cuts: readonly Cut[]): ParsedMail {
  if (cuts.length === 0) return mail;
  const sizes = new Map(cuts.map(({ file, bytes }) => [file, bytes]));
  return { ...mail, files: mail.files.map((file, i) => ({ ...file, size: sizes.get(i) ?? file.size })) };
}

// Memory of its own: a slice of a pool would be cloned with all its neighbours.
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
