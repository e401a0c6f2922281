// Answers and forwarded messages: what stands in a draft before its writer begins.
//
// Rule: an answer goes to Reply-To, else From; to all means everybody named but oneself. The old text stands below, each
// line behind a `>`, cut to a length that a person could want to quote.

import { addressesOf, usableAddress } from "./addresses.ts";
import type { DraftText } from "./drafts.ts";
import { type ParsedMail, withoutEdges } from "./message.ts";

export type AnswerWay = "reply" | "all" | "forward";

/** Most characters of the old text that are quoted. */
const MAX_QUOTED = 64 * 1024;

/** What a new draft holds. */
export interface Opening extends DraftText {
  readonly answers: string;
  readonly thread: string;
}

export const EMPTY_OPENING: Opening = { recipients: "", copies: "", subject: "", body: "", answers: "", thread: "" };

/** The draft that answers or forwards `mail`, written by the owner of `self`. */
export function openingFor(way: AnswerWay, mail: ParsedMail, self: string): Opening {
  const when = mail.sent === null ? "" : `${DATE.format(mail.sent)} UTC`;
  if (way === "forward") {
    const head = [`From: ${mail.sender}`, `To: ${mail.recipients}`, `Date: ${when}`, `Subject: ${mail.subject}`];
    return {
      ...EMPTY_OPENING,
      subject: withPrefix("Fwd: ", /^(?:fwd?|wg):/i, mail.subject),
      body: `\n\n---------- Forwarded message ----------\n${head.join("\n")}\n\n${cut(mail.text)}`,
    };
  }
  const sender = usable(mail.replyTo === "" ? mail.sender : mail.replyTo).filter((address) => address !== self);
  // An answer to one's own letter goes on to those whom it went to.
  const to = sender.length > 0 ? sender : usable(mail.recipients).filter((address) => address !== self);
  const others = usable(mail.recipients).filter((address) => address !== self && !to.includes(address));
  return {
    recipients: to.join(", "),
    copies: way === "all" ? others.join(", ") : "",
    subject: withPrefix("Re: ", /^(?:re|aw)(?:\[\d+\])?:/i, mail.subject),
    body: `\n\n${when === "" ? "" : `On ${when}, `}${mail.sender || "somebody"} wrote:\n${quoted(mail.text)}`,
    answers: mail.messageId,
    thread: `${mail.references} ${mail.messageId}`.trim(),
  };
}

function usable(field: string): string[] {
  const found = addressesOf(field).map(usableAddress);
  return [...new Set(found.filter((address) => address !== undefined))];
}

function withPrefix(prefix: string, there: RegExp, subject: string): string {
  return there.test(subject) ? subject : `${prefix}${subject}`;
}

function quoted(text: string): string {
  return cut(text)
    .split("\n")
    .map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`))
    .join("\n");
}

function cut(text: string): string {
  return withoutEdges(text).slice(0, MAX_QUOTED).toWellFormed();
}

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
