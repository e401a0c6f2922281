// The pages, as HTML: pick a mailbox, its list, a message, and what to say when there is nothing.
//
// Rule: a view gets data and returns HTML; it asks nobody and decides nothing but how things look.

import type { DirectoryEntry } from "./directory.ts";
import { MARK, type MailLine, type MailRow } from "./mailbox.ts";
import { escapeText, Html, html } from "./markup.ts";
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
  return html`<h1>Pick a mailbox</h1>
    <p class="under">
      ${plural(totals.mailboxes, "mailbox", "mailboxes")}, ${plural(totals.messages, "message")} in them. Each mailbox
      is a server of its own with its own database.
    </p>
    ${searchForm("/", typed, "Address begins with …", "Find")}
    ${
      entries.length > 0 &&
      html`<ul class="rows box">
        ${entries.map(
          ({ name, messages }) =>
            html`<li>
              <a href="${boxLink(name)}"
                ><span class="name">${name}</span><span class="number">${count(messages)}</span></a
              >
            </li>`,
        )}
      </ul>`
    }
    ${
      entries.length === 0 &&
      (totals.mailboxes === 0
        ? blank(
            "No mail has come in yet.",
            "A mailbox exists from its first message on. Send one by SMTP, or run the demo.",
          )
        : blank("No mailbox begins like that.", "Addresses are in lower case; try fewer letters."))
    }
    ${pager([more && [`/?${new URLSearchParams({ q: typed, after: entries.at(-1)?.name ?? "" })}`, "More mailboxes"]])}`;
}

/** The list of a mailbox, or what a search in it found. */
export function listView(
  name: string,
  lines: readonly MailLine[],
  state: { messages: number; typed: string; searched: boolean; first: boolean; more: boolean },
): Html {
  const query: Record<string, string> = state.typed === "" ? {} : { q: state.typed };
  const older = `${boxLink(name)}?${new URLSearchParams({ ...query, before: String(lines.at(-1)?.id ?? 0) })}`;
  const newest = `${boxLink(name)}?${new URLSearchParams(query)}`;
  return html`<h1>${name}</h1>
    <p class="under">
      ${plural(state.messages, "message")}${state.typed !== "" && html` · <a href="${boxLink(name)}">show all</a>`}
    </p>
    ${searchForm(boxLink(name), state.typed, 'Whole words, or "words side by side"', "Search")}
    ${
      lines.length > 0 &&
      html`<ul class="rows mail${state.searched && " found"}">
        ${lines.map((line) => mailLine(name, line, state.typed))}
      </ul>`
    }
    ${lines.length === 0 && nothingFound(state)}
    ${pager([!state.first && [newest, "Newest"], state.more && [older, "Older"]])}`;
}

/** One message. `way`: which form of it is shown; `blocked`: how many things from elsewhere were left out of it. */
export function readView(
  name: string,
  row: MailRow,
  mail: ParsedMail,
  shown: { way: "html" | "text"; blocked: number; cut: boolean },
): Html {
  const link = (...rest: (string | number)[]): string => boxLink(name, row.id, ...rest);
  return html`<h1>${mail.subject || html`<span class="none">no subject</span>`}</h1>
    <dl class="head">
      <dt>From</dt>
      <dd>${mail.sender || html`<span class="none">nobody stated</span>`}</dd>
      <dt>To</dt>
      <dd>${manyAddresses(mail.recipients)}</dd>
      <dt>Date</dt>
      <dd>${mail.sent === null ? html`<span class="none">none stated</span>` : fullDate(mail.sent)}</dd>
    </dl>
    ${
      mail.files.length > 0 &&
      html`<ul class="files" aria-label="Files">
        ${mail.files.map(
          (file, i) =>
            html`<li>
              <a href="${link("file", i + 1)}" download
                >${file.name} <span class="number">${bytes(file.bytes.length)}</span></a
              >
            </li>`,
        )}
      </ul>`
    }
    <p class="ways">
      ${mail.html !== undefined && html`<a href="${link()}" ${current(shown.way === "html")}>Formatted</a> <a href="${link()}?as=text" ${current(shown.way === "text")}>Plain text</a> `}<a
        href="${link("raw")}"
        download
        >Raw message (${bytes(row.size)})</a
      >
    </p>
    ${shown.way === "html" && shown.blocked > 0 && html`<p class="notice">Remote content is blocked: this message wanted to load ${plural(shown.blocked, "thing")} from elsewhere, which would have told its sender that it was read.</p>`}
    ${shown.cut && html`<p class="notice">This message is very long; only its beginning is shown. The raw message is whole.</p>`}
    ${
      shown.way === "html"
        ? html`<iframe
            title="The message"
            sandbox="allow-popups allow-popups-to-escape-sandbox"
            referrerpolicy="no-referrer"
            src="${link("html")}"
          ></iframe>`
        : html`<pre class="text">${mail.text || html`<span class="none">This message has no text.</span>`}</pre>`
    }`;
}

/** What is said when something is not there or went wrong. */
export function failureView(title: string, advice: string): Html {
  return html`<h1>${title}</h1>
    <div class="blank">
      <p>${advice}</p>
      <p><a href="/">All mailboxes</a></p>
    </div>`;
}

function mailLine(name: string, line: MailLine, typed: string): Html {
  const sender = line.sender.replace(/\s*<[^<>]*>$/, "").replace(/^"(.*)"$/, "$1");
  const when = line.sent ?? line.received;
  const back = typed === "" ? "" : `?${new URLSearchParams({ q: typed })}`;
  return html`<li>
    <a href="${boxLink(name, line.id)}${back}">
      <span class="who">${sender || html`<span class="none">nobody stated</span>`}</span>
      <span class="what${line.files !== "" && " clip"}"
        >${line.subject || html`<span class="none">no subject</span>`}${line.files !== "" && html`<span class="out"> with files: ${line.files}</span>`}</span
      >
      <time class="when" datetime="${new Date(when).toISOString()}" title="${fullDate(when)}">${shortDate(when)}</time>
      <span class="extract">${marked(line.extract)}</span></a
    >
  </li>`;
}

function marked(extract: string): Html {
  return new Html(
    escapeText(extract.replace(/\s+/g, " ")).replaceAll(MARK.open, "<mark>").replaceAll(MARK.close, "</mark>"),
  );
}

function nothingFound(state: { typed: string; searched: boolean }): Html {
  if (state.searched)
    return blank("No message has all of these words.", "Words are found whole: “mail” does not find “mailbox”.");
  if (state.typed !== "") return blank("There is no word in that search.", "Type a word or a number.");
  return blank("No older messages.", "You have come to the end of the mailbox.");
}

function searchForm(action: string, typed: string, hint: string, button: string): Html {
  return html`<form class="search" role="search" action="${action}">
    <input
      type="search"
      name="q"
      value="${typed}"
      placeholder="${hint}"
      aria-label="${hint}"
      autocomplete="off"
      autocapitalize="none"
      spellcheck="false"
      maxlength="1000"
    /><button>${button}</button>
  </form>`;
}

function blank(title: string, advice: string): Html {
  return html`<div class="blank">
    <p><strong>${title}</strong></p>
    <p>${advice}</p>
  </div>`;
}

function pager(links: readonly (false | readonly [string, string])[]): Html {
  const there = links.filter((link) => link !== false);
  return html`${there.length > 0 && html`<nav class="pager" aria-label="Pages">${there.map(([href, text]) => html`<a href="${href}">${text}</a>`)}</nav>`}`;
}

function manyAddresses(text: string): Html {
  if (text === "") return html`<span class="none">nobody stated</span>`;
  if (text.length <= 300) return html`${text}`;
  return html`<details>
    <summary>${text.slice(0, 120)} …</summary>
    ${text}
  </details>`;
}

function current(is: boolean): Html {
  return new Html(is ? ' aria-current="true"' : "");
}

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
