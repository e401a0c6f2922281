// The pages, as HTML: pick a mailbox, its list, a message, and what to say when there is nothing.
//
// Rule: a view gets data and returns HTML; it asks nobody and decides nothing but how things look.

import type { DirectoryEntry, Totals } from "./directory.ts";
import { MARK, MAX_COUNTED, type MailLine, type MailRow, type Neighbours } from "./mailbox.ts";
import { breakable, escapeText, Html, markup } from "./markup.ts";
import type { ParsedMail } from "./message.ts";

/** Link to a mailbox, or to something in it. */
export function boxLink(name: string, ...rest: (string | number)[]): string {
  return ["/mailbox", name, ...rest].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join("/");
}

/** What the page where a mailbox is picked shows: what was typed, and how much there is. */
export interface PickState {
  readonly typed: string;
  readonly totals: Totals;
  /** Of the mailboxes that begin like what was typed. */
  readonly matching: Totals;
  /** True if these are the fullest ones, false if they go by name. */
  readonly fullest: boolean;
  readonly more: boolean;
}

/** The page where a mailbox is picked. */
export function pickView(entries: readonly DirectoryEntry[], state: PickState): Html {
  const { typed, totals, more } = state;
  const rows = entries.map(
    ({ name, messages }) =>
      markup`<li><a href="${boxLink(name)}"><span class="name">${breakable(name)}</span><span class="number">${count(messages)}</span></a></li>`,
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
<p class="under">${pickSummary(entries.length, state)}</p>
${searchForm("/", typed, "Address begins with …", "Find")}
${rows.length > 0 ? markup`<ul class="rows box">${rows}</ul>` : nothing}
${pager([more && [next, "More mailboxes"]])}`;
}

function pickSummary(shown: number, { typed, totals, matching, fullest }: PickState): string {
  const all = plural(totals.mailboxes, "mailbox", "mailboxes");
  if (typed === "") {
    const some = fullest && shown < totals.mailboxes ? ` Below are the ${shown} fullest.` : "";
    return `${all}, ${plural(totals.messages, "message")}. Each mailbox is a small server of its own, with its own database.${some}`;
  }
  const match = `${count(matching.mailboxes)} of ${all} ${matching.mailboxes === 1 ? "matches" : "match"}`;
  if (matching.mailboxes === 0) return `${match}.`;
  return `${match}, with ${plural(matching.messages, "message")}${shown > 1 ? "; by name" : ""}.`;
}

/** How a list is shown: what was typed into its search, and where in the mailbox it stands. */
export interface ListState {
  readonly messages: number;
  readonly typed: string;
  /** Messages that the search finds, up to MAX_COUNTED + 1; undefined if what was typed holds no word. */
  readonly matches: number | undefined;
  readonly first: boolean;
  readonly more: boolean;
}

/** The list of a mailbox, or what a search in it found. */
export function listView(name: string, lines: readonly MailLine[], state: ListState): Html {
  const query: Record<string, string> = state.typed === "" ? {} : { q: state.typed };
  const older = `${boxLink(name)}?${new URLSearchParams({ ...query, before: String(lines.at(-1)?.id ?? 0) })}`;
  const newest = `${boxLink(name)}?${new URLSearchParams(query)}`;
  const rows = lines.map((line) => mailLine(name, line, state.typed));
  const all = plural(state.messages, "message");
  const many = state.matches === undefined ? all : `${matchCount(state.matches)} of ${all} match`;
  const order = lines.length > 1 && "; latest arrivals first, dates as sent";
  return markup`<h1>${breakable(name)}</h1>
<p class="under">${many}${order}${state.typed !== "" && markup` · <a href="${boxLink(name)}">show all</a>`}</p>
${searchForm(boxLink(name), state.typed, 'Words, or "a phrase"', "Search")}
${rows.length > 0 ? markup`<ul class="rows mail${state.matches !== undefined && " found"}">${rows}</ul>` : nothingFound(state)}
${pager([!state.first && [newest, "Newest"], state.more && [older, "Older"]])}`;
}

/** Which form of a message is shown, and what was left out of it. */
export interface Shown {
  readonly way: "html" | "text";
  /** Things from elsewhere that the HTML wanted. Count. */
  readonly blocked: number;
  readonly cut: boolean;
  /** The search that the reader came from, or nothing. */
  readonly typed: string;
  /** Its neighbours in the list, or in that search. */
  readonly beside: Neighbours;
}

/** One message. */
export function readView(name: string, row: MailRow, mail: ParsedMail, shown: Shown): Html {
  const link = (...rest: (string | number)[]): string => boxLink(name, row.id, ...rest);
  const query: Record<string, string> = shown.typed === "" ? {} : { q: shown.typed };
  const self = (as: Record<string, string>): string => withQuery(link(), { ...query, ...as });
  const files = mail.files.map(
    (file, i) =>
      markup`<li><a href="${link("file", i + 1)}" download>${file.name} <span class="number">${bytes(file.bytes.length)}</span></a></li>`,
  );
  const ways =
    mail.html !== undefined &&
    markup`<a href="${self({})}"${current(shown.way === "html")}>Formatted</a> <a href="${self({ as: "text" })}"${current(shown.way === "text")}>Plain text</a> `;
  return markup`<h1>${mail.subject || none("no subject")}</h1>
<dl class="head">
<dt>From</dt><dd>${mail.sender === "" ? none("nobody stated") : breakable(mail.sender)}</dd>
<dt>To</dt><dd>${manyAddresses(mail.recipients)}</dd>
<dt>Date</dt><dd>${mail.sent === null ? none("none stated") : fullDate(mail.sent)}</dd>
</dl>
${files.length > 0 && markup`<ul class="files" aria-label="Files">${files}</ul>`}
<div class="ways">${ways}<a href="${link("raw")}" download>Raw message <span class="number">${bytes(row.size)}</span></a>${besideLinks(name, shown)}</div>
${notices(shown)}
${shown.way === "html" ? mailFrame(link("html")) : mailText(mail.text)}`;
}

/** What is said when something is not there or went wrong. */
export function failureView(title: string, advice: string): Html {
  return markup`<h1>${title}</h1>
<div class="blank"><p>${advice}</p><p><a href="/">All mailboxes</a></p></div>`;
}

function besideLinks(name: string, { typed, beside }: Shown): Html {
  const query: Record<string, string> = typed === "" ? {} : { q: typed };
  const link = (id: number | null, text: string): Html | false =>
    id !== null && markup` <a href="${withQuery(boxLink(name, id), query)}">${text}</a>`;
  const what = typed === "" ? "" : " match";
  const links = [link(beside.newer, `Newer${what}`), link(beside.older, `Older${what}`)];
  return markup`<nav class="beside" aria-label="Messages beside this one">${links}</nav>`;
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
  const clip = line.files !== "" && markup`<span class="out"> with files: ${line.files}</span>`;
  return markup`<li><a href="${withQuery(boxLink(name, line.id), typed === "" ? {} : { q: typed })}">
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

function matchCount(matches: number): string {
  return matches > MAX_COUNTED ? `More than ${count(MAX_COUNTED)}` : count(matches);
}

function nothingFound({ typed, matches }: ListState): Html {
  if (matches === 0)
    return blank("No message has all of these words.", "Words are found whole: “mail” does not find “mailbox”.");
  if (typed !== "" && matches === undefined)
    return blank("There is no word in that search.", "Type a word or a number.");
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
  if (text.length <= SHOWN_ADDRESSES) return breakable(text);
  return markup`<details><summary>${text.slice(0, SHOWN_ADDRESSES / 2)} …</summary>${breakable(text)}</details>`;
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

function withQuery(link: string, query: Record<string, string>): string {
  const text = new URLSearchParams(query).toString();
  return text === "" ? link : `${link}?${text}`;
}

function bytes(n: number): string {
  if (n === 0) return "empty";
  if (n < 1000) return `${n} bytes`;
  return n < 1_000_000 ? `${count(Math.round(n / 100) / 10)} kB` : `${count(Math.round(n / 100_000) / 10)} MB`;
}
