// Raw bytes of a message in, everything that a mailbox and a page need of it out.
//
// Rule: the raw bytes are the message and are kept as they came; all text here is derived from them for showing and for
// search, so it may be cleaned: no NUL, no control characters except tab and line end, no half surrogates, bounded length.
// What decodes badly (unknown charset, broken base64) still yields a message. Only what is no message at all is refused.

import { createHash } from "node:crypto";
import type { Address, Attachment, Email } from "postal-mime";
import { textOfHtml } from "./html.ts";
import { type Cut, cutsOf } from "./cuts.ts";
import { type Extent, extentOf, parseBounded } from "./parser.ts";

/** Most characters of a body that search knows; the rest is only in the raw message and on the reading page. */
export const MAX_SEARCHED_TEXT = 1024 * 1024;
/** Most characters of a header field; of one with addresses, of which there may be a thousand. The rest is left out. */
export const MAX_FIELD_TEXT = 4096;
export const MAX_ADDRESSES_TEXT = 64 * 1024;

/** One file that came with a message. */
export interface MailFile {
  /** As the sender called it, or `part-3.png` after its place and type if it has no name. */
  readonly name: string;
  /** Lower-case MIME type as the sender stated it. */
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Of its bytes, also where they were cut out of the message. */
  readonly size: number;
  /** Where it stands in the raw message, encoded as it is there; undefined: in a message within the message. */
  readonly place: Extent | undefined;
  /** Content-ID without its angle brackets, for pictures that the HTML shows. */
  readonly cid: string | undefined;
}

/** A message taken apart. */
export interface ParsedMail {
  readonly subject: string;
  /** From and To/Cc, decoded, as `Name <address>, ...`. */
  readonly sender: string;
  readonly recipients: string;
  /** Reply-To, in the same form. */
  readonly replyTo: string;
  /** Message-ID and References with their angles; empty if there are none. */
  readonly messageId: string;
  readonly references: string;
  /** Time of the Date field, in ms since 1970; null if there is none that can be read, or one before that (year 102). */
  readonly sent: number | null;
  /** The text part, or else the text of the HTML. */
  readonly text: string;
  /** The HTML part as sent (never show it without sanitising it). */
  readonly html: string | undefined;
  readonly files: readonly MailFile[];
}

/** What a mailbox stores of a message. */
export interface StoredMail {
  /** SHA-256 of the raw bytes: the same message delivered again has the same. */
  readonly identity: Uint8Array;
  readonly sender: string;
  readonly recipients: string;
  readonly subject: string;
  readonly sent: number | null;
  readonly body: string;
  /** Names of the files, one per line. */
  readonly files: string;
  /** The whole message. */
  readonly raw: Uint8Array;
  /** What of it is to be kept as files. */
  readonly cuts: readonly Cut[];
}

/** Why a message cannot be taken: the reply to its sender. */
export class NotAMessage extends Error {
  override readonly name = "NotAMessage";
}

// RFC 5322: a name of printable characters without space and colon. Old mailers put blanks before the colon.
const FIELD_LINE = /^[!-9;-~]+[ \t]*:/;
const LONGEST_FIELD_NAME = 998;

/**
 * Takes a raw message apart. Throws NotAMessage if it does not begin with a header field, or is nested or built so
 * that the parser gives up.
 */
export async function parseMail(raw: Uint8Array): Promise<ParsedMail> {
  const start = Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.byteLength, LONGEST_FIELD_NAME)).toString(
    "latin1",
  );
  if (!FIELD_LINE.test(start)) throw new NotAMessage("the message does not begin with a header field (Name: value)");
  let email: Email;
  try {
    email = await parseBounded(raw);
  } catch (error) {
    throw new NotAMessage(`the message cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return {
    subject: cleanLine(email.subject ?? ""),
    sender: cleanLine(formatAddresses(email.from === undefined ? [] : [email.from])),
    recipients: cleanLine(formatAddresses([...(email.to ?? []), ...(email.cc ?? [])]), MAX_ADDRESSES_TEXT),
    replyTo: cleanLine(formatAddresses(email.replyTo ?? []), MAX_ADDRESSES_TEXT),
    messageId: cleanLine(email.messageId ?? ""),
    references: cleanLine(email.references ?? ""),
    sent: timeOf(email.date),
    text: cleanText(textOf(email, raw)),
    html: email.html === undefined ? undefined : cleanText(email.html),
    files: email.attachments.map(mailFile),
  };
}

/**
 * The rows of a mailbox for a message: parsed once, however many mailboxes it goes to. Letters and their marks are one
 * character there (NFC), as they are when they are typed into a search.
 */
export async function storedMail(raw: Uint8Array): Promise<StoredMail> {
  const mail = await parseMail(raw);
  return {
    identity: identityOf(raw),
    sender: mail.sender.normalize(),
    recipients: mail.recipients.normalize(),
    subject: mail.subject.normalize(),
    sent: mail.sent,
    body: mail.text.normalize().slice(0, MAX_SEARCHED_TEXT).toWellFormed(),
    files: mail.files
      .map(({ name }) => name)
      .join("\n")
      .normalize(),
    raw,
    cuts: cutsOf(mail.files),
  };
}

/** What tells a message from all others: SHA-256 of its bytes. */
export function identityOf(raw: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(raw).digest());
}

/** Text that a database and a page take: line ends are \n, other control characters are spaces, no half surrogates. */
export function cleanText(text: string): string {
  return (
    text
      .replace(/\r\n?/g, "\n")
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, " ")
      .toWellFormed()
  );
}

/** A text without the empty lines that it begins and ends with. */
export function withoutEdges(text: string): string {
  const first = text.search(/\S/);
  return first === -1 ? "" : text.slice(text.lastIndexOf("\n", first) + 1).trimEnd();
}

function textOf(email: Email, raw: Uint8Array): string {
  if (email.text !== undefined) return email.text;
  if (email.html !== undefined) return textOfHtml(email.html);
  if (email.attachments.length > 0) return "";
  // The parser found no part in the body, as with a multipart without its boundary: then the body as it stands.
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("utf8");
  return text.slice(/\r?\n\r?\n/.exec(text)?.index ?? text.length).trimStart();
}

// Characters that turn the direction of what follows make a name read as another one, and `gpj.exe` as `exe.jpg`.
function cleanLine(text: string, most = MAX_FIELD_TEXT): string {
  return cleanText(text.slice(0, most))
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

function formatAddresses(addresses: readonly Address[]): string {
  return addresses
    .map((entry) => {
      if (entry.group !== undefined) return `${entry.name}: ${formatAddresses(entry.group)};`;
      if (entry.name === "") return entry.address;
      return entry.address === "" ? entry.name : `${quotedName(entry.name)} <${entry.address}>`;
    })
    .join(", ");
}

// A name that could be taken for a list of addresses stands in quotes, or an answer would go to them.
function quotedName(name: string): string {
  return /[,;:<>@()"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

function timeOf(date: string | undefined): number | null {
  const time = date === undefined ? Number.NaN : Date.parse(date);
  return time >= 0 ? time : null;
}

function mailFile(attachment: Attachment, index: number): MailFile {
  const type = /^[\w.+-]+\/[\w.+-]+$/.test(attachment.mimeType) ? attachment.mimeType : "application/octet-stream";
  const named = cleanLine(attachment.filename ?? "");
  const { content } = attachment;
  const bytes = typeof content === "string" ? Buffer.from(content) : new Uint8Array(content);
  return {
    name: named === "" ? `part-${index + 1}.${extensionOf(type)}` : named,
    type,
    bytes,
    size: bytes.length,
    place: content instanceof ArrayBuffer ? extentOf(content) : undefined,
    cid: attachment.contentId?.replace(/^<|>$/g, ""),
  };
}

function extensionOf(type: string): string {
  if (type === "message/rfc822") return "eml";
  if (type === "text/plain") return "txt";
  const subtype = type.slice(type.indexOf("/") + 1);
  return /^[a-z0-9]{1,5}$/.test(subtype) ? subtype : "bin";
}
