// The envelope of a stored message: to whom it is sent again, and as whom.
//
// A message in a corpus has lost its SMTP envelope, so one rule has to make it up. The rule, whole:
//   1. The header is everything before the first empty line, one byte one character. A line that begins with a space or a
//      tab continues the line before it.
//   2. Recipients are all usable addresses of all fields To, Cc and Bcc, in the order in which they stand.
//      If there is none: the usable addresses of the topmost Delivered-To. If there is none either, nobody is meant.
//   3. A field is a list. Commas and semicolons part its entries, except inside "quotes", (comments) and <angles>.
//      A colon outside them ends the name of a group, which says nothing; the members of a group are entries like others.
//   4. The address of an entry is what its first non-empty <angles> hold; in an entry without any, all its text.
//      Comments never count; quotes outside of angles count only as the part of an address before the @.
//      A source route (<@a,@b:user@host>) is left out.
//   5. An address is usable if it is local@host, at most 253 characters of ASCII: local is words of letters, digits and
//      !#$%&'*+-/=?^_`{|}~ joined by single dots (a quoted local part is usable if what it quotes is that), host is
//      labels of letters, digits and inner hyphens joined by single dots. No host, white space, a second @ or a literal
//      like [127.0.0.1] make it unusable. Unusable addresses are passed over.
//   6. Addresses are lower-cased; one that stands twice counts once.
// The sender is the first usable address of Return-Path, else of From, else the null sender.
//
// Rejected: the address parsers of the mail libraries. They guess: each finds an address in text that holds none, each
// elsewhere. One of them checks this file over the whole corpus (test/recipients.test.ts, README).

import { addressesOf, usableAddress } from "../addresses.ts";

/** What a message is sent with. An empty sender is the null sender. */
export interface Envelope {
  readonly sender: string;
  /** Lower-cased, without repeats; empty when the header names nobody. */
  readonly recipients: readonly string[];
}

/** One field of a header: lower-cased name and unfolded text, one character per byte. */
export interface Field {
  readonly name: string;
  readonly text: string;
}

/** The envelope that the rule above gives to a raw message. Any bytes are fine; senseless ones name nobody. */
export function envelopeOf(raw: Buffer): Envelope {
  const fields = headerFields(raw);
  let recipients = fields.filter(({ name }) => name === "to" || name === "cc" || name === "bcc").flatMap(usableOf);
  if (recipients.length === 0)
    recipients = fields
      .filter(({ name }) => name === "delivered-to")
      .slice(0, 1)
      .flatMap(usableOf);
  const senders = ["return-path", "from"].flatMap((wanted) =>
    fields.filter(({ name }) => name === wanted).flatMap(usableOf),
  );
  return { sender: senders[0] ?? "", recipients: [...new Set(recipients)] };
}

/** The fields of a raw message, in order. */
export function headerFields(raw: Buffer): Field[] {
  const fields: Field[] = [];
  for (const line of headerLines(raw)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.push({ name: line.slice(0, colon).trim().toLowerCase(), text: line.slice(colon + 1) });
  }
  return fields;
}

function usableOf(field: Field): string[] {
  return addressesOf(field.text)
    .map(usableAddress)
    .filter((address) => address !== undefined);
}

function headerLines(raw: Buffer): string[] {
  const unfolded: string[] = [];
  let start = 0;
  while (start < raw.length) {
    const newline = raw.indexOf(10, start);
    const end = newline === -1 ? raw.length : newline;
    const line = raw.toString("latin1", start, end).replace(/\r$/, "");
    if (line === "") break;
    if (/^[ \t]/.test(line) && unfolded.length > 0) unfolded[unfolded.length - 1] += line;
    else unfolded.push(line);
    start = end + 1;
  }
  return unfolded;
}
