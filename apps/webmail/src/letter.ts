// A draft as a message: the bytes that are sent.
//
// Rule: what people typed reaches a header only as words that cannot end it: addresses were checked before, everything
// else is an encoded word (RFC 2047) or an encoded parameter (RFC 2231). Texts and files travel as base64, which every mail
// program reads and no line can break. Lines end with CRLF.
// Rejected: a mail library for sending (this is all that a web page can make, and it has to be read here anyway).

import { randomUUID } from "node:crypto";
import type { DraftFile } from "./drafts.ts";

/** What a letter is made of. Addresses are usable ones (addresses.ts) or names of mailboxes here. */
export interface LetterParts {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string;
  readonly body: string;
  /** Message-ID that it answers and those before it, with their angles; empty for none. */
  readonly answers: string;
  readonly thread: string;
  readonly files: readonly DraftFile[];
}

const LINE = "\r\n";
/** Characters of base64 on a line, as RFC 2045 has it. */
const BASE64_LINE = 76;
/** Bytes of text in one encoded word: with its frame it stays below 75 characters. */
const WORD_BYTES = 42;

/** The bytes of a letter, written at `now` (ms since 1970). */
export function writeLetter(parts: LetterParts, now: number): Uint8Array {
  const domain = /@([a-z0-9.-]+)$/i.exec(parts.from)?.[1] ?? "localhost";
  const head = [
    `From: ${addressList([parts.from])}`,
    `To: ${addressList(parts.to)}`,
    ...(parts.cc.length > 0 ? [`Cc: ${addressList(parts.cc)}`] : []),
    `Subject: ${words(parts.subject)}`,
    `Date: ${new Date(now).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: <${randomUUID()}@${domain}>`,
    ...(parts.answers === "" ? [] : [`In-Reply-To: ${onlyIds(parts.answers)}`]),
    ...(parts.thread === "" ? [] : [`References: ${onlyIds(parts.thread).replaceAll(" ", `${LINE} `)}`]),
    "MIME-Version: 1.0",
  ];
  const text = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", ""];
  const body = base64Lines(Buffer.from(parts.body.replace(/\r\n?|\n/g, LINE)));
  if (parts.files.length === 0) return bytesOf([...head, ...text, body, ""]);
  const boundary = `frond-${randomUUID()}`;
  const lines = [...head, `Content-Type: multipart/mixed; boundary="${boundary}"`, "", `--${boundary}`, ...text, body];
  for (const file of parts.files) {
    lines.push(
      `--${boundary}`,
      `Content-Type: ${safeType(file.type)}`,
      `Content-Disposition: attachment;${LINE} ${fileNames(file.name)}`,
      "Content-Transfer-Encoding: base64",
      "",
      base64Lines(Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength)),
    );
  }
  return bytesOf([...lines, `--${boundary}--`, ""]);
}

/** The MIME type of a file as it may stand in a header. */
export function safeType(type: string): string {
  return /^[\w.+-]{1,60}\/[\w.+-]{1,60}$/.test(type) ? type.toLowerCase() : "application/octet-stream";
}

function bytesOf(lines: readonly string[]): Uint8Array {
  const text = Buffer.from(lines.join(LINE));
  // Memory of its own: a slice of a pool would be cloned with all its neighbours.
  return new Uint8Array(text);
}

// A name of a mailbox that is no address (SMTP takes strange ones) loses what could end a header.
function addressList(addresses: readonly string[]): string {
  return addresses.map((address) => address.replace(/[^\x21-\x7e]|[<>,;:()"\\]/g, "")).join(`,${LINE} `);
}

function onlyIds(text: string): string {
  return (text.match(/<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>/g) ?? []).slice(-20).join(" ");
}

function words(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  if (/^[\x20-\x7e]{0,60}$/.test(line) && !line.includes("=?")) return line;
  const chunks: string[] = [];
  let chunk = "";
  for (const character of line.toWellFormed()) {
    if (Buffer.byteLength(chunk + character) > WORD_BYTES) {
      chunks.push(chunk);
      chunk = "";
    }
    chunk += character;
  }
  chunks.push(chunk);
  return chunks.map((each) => `=?utf-8?B?${Buffer.from(each).toString("base64")}?=`).join(`${LINE} `);
}

function fileNames(name: string): string {
  const plain = name.replace(/[^\w .()+-]/g, "_").slice(0, 60);
  const full = encodeURIComponent(name.slice(0, 120).toWellFormed()).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return plain === name ? `filename="${plain}"` : `filename="${plain}";${LINE} filename*=UTF-8''${full}`;
}

function base64Lines(bytes: Buffer): string {
  const text = bytes.toString("base64");
  const lines: string[] = [];
  for (let i = 0; i < text.length; i += BASE64_LINE) lines.push(text.slice(i, i + BASE64_LINE));
  return lines.join(LINE);
}
