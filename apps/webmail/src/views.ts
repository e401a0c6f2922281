// The pages, as HTML: pick a mailbox, its list, a message, and what to say when there is nothing.
//
// Rule: a view gets data and returns HTML; it asks nobody and decides nothing but how things look.

import type { DirectoryEntry } from "./directory.ts";
import { MARK, type MailLine, type MailRow } from "./mailbox.ts";
import { escapeText, Html, markup } from "./markup.ts";
import type { ParsedMail } from "./message.ts";

/** Link to a mailbox, or to something in it. */
export function boxLink(name: string, ...rest: (string | number)[]): string {
  return ["/mailbox", name, ...rest].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join("/");
}

/** The page where a mailbox is picked. */
export function pickView(
  typed: string,
  entries: readonly DirectoryEntry[],
  totals: { mailboxes: number; messages: number },
  more: boolean,
): Html {
  const rows = entries.map(
    ({ name, messages }) =>
      markup`<li><a href="${boxLink(name)}"><span class="name">${name}</span><span class="number">${count(messages)}</span></a></li>`,
  );
  const nothing =
    totals.mailboxes === 0
      ? blank(
          "No mail has come in yet.",
          "A mailbox exists from its first message on. Send one by SMTP, or run the demo.",
        )
      : blank("No mailbox begins like that.", "Try fewer letters.");
  const next = `/?${new URLSearchParams({ q: typed, after: entries.at(-1)?.name ?? "" })}`;
  return markup`<h1>Pick a mailbox</h1>
<p class="under">${plural(totals.mailboxes, "mailbox", "mailboxes")}, ${plural(totals.messages, "message")}. Each mailbox is a small server of its own, with its own database.</p>
${searchForm("/", typed, "Address begins with …", "Find")}
${rows.length > 0 ? markup`<ul class="rows box">${rows}</ul>` : nothing}
${pager([more && [next, "More mailboxes"]])}`;
}

/** How a list is shown: what was typed into its search, and where in the mailbox it stands. */
export interface ListState {
  readonly messages: number;
  readonly typed: string;
  /** False if what was typed holds no word. */
  readonly searched: boolean;
  readonly first: boolean;
  readonly more: boolean;
}

/** The list of a mailbox, or what a search in it found. */
export function listView(name: string, lines: readonly MailLine[], state: ListState): Html {
  const query: Record<string, string> = state.typed === "" ? {} : { q: state.typed };
  const older = `${boxLink(name)}?${new URLSearchParams({ ...query, before: String(lines.at(-1)?.id ?? 0) })}`;
  const newest = `${boxLink(name)}?${new URLSearchParams(query)}`;
  const rows = lines.map((line) => mailLine(name, line, state.typed));
  return markup`<h1>${name}</h1>
<p class="under">${plural(state.messages, "message")}${state.typed !== "" && markup` · <a href="${boxLink(name)}">show all</a>`}</p>
${searchForm(boxLink(name), state.typed, 'Whole words, or "words side by side"', "Search")}
${rows.length > 0 ? markup`<ul class="rows mail${state.searched && " found"}">${rows}</ul>` : nothingFound(state)}
${pager([!state.first && [newest, "Newest"], state.more && [older, "Older"]])}`;
}

/** Which form of a message is shown, and what was left out of it. */
export interface Shown {
  readonly way: "html" | "text";
  /** Things from elsewhere that the HTML wanted. Count. */
  readonly blocked: number;
  readonly cut: boolean;
}

/** One message. */
export function readView(name: string, row: MailRow, mail: ParsedMail, shown: Shown): Html {
  const link = (...rest: (string | number)[]): string => boxLink(name, row.id, ...rest);
  const files = mail.files.map(
    (file, i) =>
      markup`<li><a href="${link("file", i + 1)}" download>${file.name} <span class="number">${bytes(file.bytes.length)}</span></a></li>`,
  );
  const ways =
    mail.html !== undefined &&
    markup`<a href="${link()}"${current(shown.way === "html")}>Formatted</a> <a href="${link()}?as=text"${current(shown.way === "text")}>Plain text</a> `;
  return markup`<h1>${mail.subject || none("no subject")}</h1>
<dl class="head">
<dt>From</dt><dd>${mail.sender || none("nobody stated")}</dd>
<dt>To</dt><dd>${manyAddresses(mail.recipients)}</dd>
<dt>Date</dt><dd>${mail.sent === null ? none("none stated") : fullDate(mail.sent)}</dd>
</dl>
${files.length > 0 && markup`<ul class="files" aria-label="Files">${files}</ul>`}
<p class="ways">${ways}<a href="${link("raw")}" download>Raw message <span class="number">${bytes(row.size)}</span></a></p>
${notices(shown)}
${shown.way === "html" ? mailFrame(link("html")) : mailText(mail.text)}`;
}

/** What is said when something is not there or went wrong. */
export function failureView(title: string, advice: string): Html {
  return markup`<h1>${title}</h1>
<div class="blank"><p>${advice}</p><p><a href="/">All mailboxes</a></p></div>`;
}

function notices({ way, blocked, cut }: Shown): Html {
  return markup`${
    way === "html" &&
    blocked > 0 &&
    notice(
      `Remote content is blocked: this message wanted to load ${plural(blocked, "thing")} from elsewhere, which would have told its sender that it was read.`,
    )
  }${cut && notice("This message is very long; only its beginning is shown. The raw message is whole.")}`;
}

function notice(text: string): Html {
  return markup`<p class="notice">${text}</p>`;
}

// Without allow-scripts and allow-same-origin nothing in the frame runs, and it is a stranger to this server.
function mailFrame(source: string): Html {
  return markup`<iframe title="The message" sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer" src="${source}"></iframe>`;
}

function mailText(text: string): Html {
  return text.trim() === ""
    ? blank("This message has no text.", "The raw message may hold more.")
    : markup`<pre class="text">${text}</pre>`;
}

function mailLine(name: string, line: MailLine, typed: string): Html {
  const sender = line.sender.replace(/\s*<[^<>]*>$/, "").replace(/^"(.*)"$/, "$1");
  const when = line.sent ?? line.received;
  const back = typed === "" ? "" : `?${new URLSearchParams({ q: typed })}`;
  const clip = line.files !== "" && markup`<span class="out"> with files: ${line.files}</span>`;
  return markup`<li><a href="${boxLink(name, line.id)}${back}">
<span class="who">${sender || none("nobody stated")}</span>
<span class="what${line.files !== "" && " clip"}">${line.subject || none("no subject")}${clip}</span>
<time class="when" datetime="${new Date(when).toISOString()}" title="${fullDate(when)}">${shortDate(when)}</time>
<span class="extract">${marked(line.extract)}</span></a></li>
`;
}

// Escaped first, so that the marks are the only markup in it.
function marked(extract: string): Html {
  const text = escapeText(extract.replace(/\s+/g, " "));
  return new Html(text.replaceAll(MARK.open, "<mark>").replaceAll(MARK.close, "</mark>"));
}

function nothingFound({ typed, searched }: ListState): Html {
  if (searched)
    return blank("No message has all of these words.", "Words are found whole: “mail” does not find “mailbox”.");
  if (typed !== "") return blank("There is no word in that search.", "Type a word or a number.");
  return blank("No older messages.", "This is the end of the mailbox.");
}

function searchForm(action: string, typed: string, hint: string, button: string): Html {
  return markup`<form class="search" role="search" action="${action}"><input type="search" name="q" value="${typed}" placeholder="${hint}" aria-label="${hint}" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="1000"><button>${button}</button></form>`;
}

function blank(title: string, advice: string): Html {
  return markup`<div class="blank"><p><strong>${title}</strong></p><p>${advice}</p></div>`;
}

function none(text: string): Html {
  return markup`<span class="none">${text}</span>`;
}

function pager(links: readonly (false | readonly [string, string])[]): Html {
  const there = links.filter((link) => link !== false);
  const anchors = there.map(([href, text]) => markup`<a href="${href}">${text}</a>`);
  return markup`${anchors.length > 0 && markup`<nav class="pager" aria-label="Pages">${anchors}</nav>`}`;
}

function manyAddresses(text: string): Html {
  if (text === "") return none("nobody stated");
  if (text.length <= SHOWN_ADDRESSES) return markup`${text}`;
  return markup`<details><summary>${text.slice(0, SHOWN_ADDRESSES / 2)} …</summary>${text}</details>`;
}

function current(is: boolean): Html {
  return new Html(is ? ' aria-current="true"' : "");
}

/** Longest list of addresses that is shown at once, in characters. */
const SHOWN_ADDRESSES = 300;

const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short", timeZone: "UTC" });
const NUMBER = new Intl.NumberFormat("en-GB");

function shortDate(time: number): string {
  return SHORT.format(time);
}

function fullDate(time: number): string {
  return `${FULL.format(time)} UTC`;
}

function count(n: number): string {
  return NUMBER.format(n);
}

function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

function bytes(n: number): string {
  if (n < 1000) return `${n} bytes`;
  return n < 1_000_000 ? `${count(Math.round(n / 100) / 10)} kB` : `${count(Math.round(n / 100_000) / 10)} MB`;
}
