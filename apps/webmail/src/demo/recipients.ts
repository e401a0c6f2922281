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

import { MAX_ADDRESS_LENGTH } from "../settings.ts";

const WORD = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const USABLE = new RegExp(`^${WORD}(?:\\.${WORD})*@${LABEL}(?:\\.${LABEL})*$`);
const QUOTED_LOCAL = /^"((?:[^"\\]|\\.)*)"@/s;
const ROUTE = /^@[^:]*:/;

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

/** The addresses of one field, as rule 3 and 4 find them, usable or not, as they are written. */
export function addressesOf(text: string): string[] {
  return entriesOf(text).flatMap((entry) => {
    const address = (entry.angles === "" ? entry.text : entry.angles.replace(ROUTE, "")).trim();
    return address === "" ? [] : [address];
  });
}

/** The address in the form that names a mailbox, or undefined if rule 5 finds it unusable. */
export function usableAddress(address: string): string | undefined {
  const quoted = QUOTED_LOCAL.exec(address);
  const plain = quoted === null ? address : quoted[1] + address.slice(quoted[0].length - 1);
  const lower = plain.toLowerCase();
  return lower.length <= MAX_ADDRESS_LENGTH && USABLE.test(lower) ? lower : undefined;
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

interface Entry {
  text: string;
  angles: string;
}

// One walk over the field. What opened and did not close lasts to the end of the field.
function entriesOf(field: string): Entry[] {
  const entries: Entry[] = [{ text: "", angles: "" }];
  for (let i = 0; i < field.length; i++) {
    const entry = entries.at(-1) as Entry;
    const character = field[i] as string;
    if (character === "," || character === ";") entries.push({ text: "", angles: "" });
    else if (character === ":") entry.text = "";
    else if (character === "(") i = endOfComment(field, i);
    else if (character === '"') {
      const end = endOfQuotes(field, i);
      entry.text += field.slice(i, end + 1);
      i = end;
    } else if (character === "<") {
      const end = endOfAngles(field, i);
      if (entry.angles === "") entry.angles = field.slice(i + 1, end).trim();
      i = end;
    } else entry.text += character;
  }
  return entries;
}

function endOfComment(field: string, open: number): number {
  let depth = 0;
  for (let i = open; i < field.length; i++) {
    if (field[i] === "\\") i++;
    else if (field[i] === "(") depth++;
    else if (field[i] === ")" && --depth === 0) return i;
  }
  return field.length;
}

function endOfQuotes(field: string, open: number): number {
  for (let i = open + 1; i < field.length; i++) {
    if (field[i] === "\\") i++;
    else if (field[i] === '"') return i;
  }
  return field.length;
}

function endOfAngles(field: string, open: number): number {
  for (let i = open + 1; i < field.length; i++) {
    if (field[i] === '"') i = endOfQuotes(field, i);
    else if (field[i] === ">") return i;
  }
  return field.length;
}
