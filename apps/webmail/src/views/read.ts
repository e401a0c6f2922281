// One message: its head, its files, its text or its HTML in a frame where nothing runs.

import { addressesOf } from "../addresses.ts";
import { type Folder, type Place, TITLES } from "../folders.ts";
import { boxLink, withQuery } from "../links.ts";
import type { Neighbours } from "../lists.ts";
import type { MailRow } from "../mailbox.ts";
import { attribute, escapeText, Html, markup } from "../markup.ts";
import { type ParsedMail, withoutEdges } from "../message.ts";
import { avatar, breakable, bytes, fullTime, nameOf, none, plural, shortName } from "./format.ts";
import { icon, type IconName } from "./icons.ts";
import { starButton } from "./list.ts";
import { actButton, snoozeMenu } from "./tools.ts";

/** Which form of a message is shown, what was left out of it, and where it stands. */
export interface Shown {
  readonly name: string;
  readonly way: "html" | "text";
  /** Things from elsewhere that the HTML wanted. Count. */
  readonly blocked: number;
  readonly cut: boolean;
  /** The search that the reader came from, or nothing. */
  readonly typed: string;
  /** Its neighbours in its folder, or in that search. */
  readonly beside: Neighbours;
  /** Recipients whom a sent message has not reached yet. */
  readonly waiting: readonly string[];
}

/** Longest text that is shown, in characters: a browser lays out a quarter of a million at once, not ten. */
const MAX_SHOWN_TEXT = 256 * 1024;
/** Longest list of addresses that is shown at once, in characters. */
const SHOWN_ADDRESSES = 300;

/** One message. */
export function readView(row: MailRow, mail: ParsedMail, shown: Shown): Html {
  const { name } = shown;
  const link = (...rest: (string | number)[]): string => boxLink(name, row.id, ...rest);
  const who = nameOf(mail.sender);
  const address = /.<[^<>]*>$/.exec(mail.sender)?.[0].slice(1) ?? "";
  return markup`<article class="reading" data-id="${row.id}" data-starred="${row.starred}">
${toolbar(row, shown)}
<h1 dir="auto">${mail.subject || none("no subject")} ${row.folder !== "inbox" && markup`<span class="chip">${TITLES[row.folder]}</span>`}</h1>
${row.due !== null && markup`<p class="notice">${icon("clock")} Comes back to the inbox ${fullTime(row.due)}.</p>`}
${shown.waiting.length > 0 && markup`<p class="notice">Not yet delivered to ${shown.waiting.join(", ")}. It is tried again by itself.</p>`}
<div class="sender">${avatar(who)}<div class="from"><p><strong dir="auto">${mail.sender === "" ? none("nobody stated") : who}</strong>${address !== "" && markup` <span class="soft address">${breakable(address)}</span>`}</p>
<div class="soft to"><span>to </span>${manyAddresses(mail.recipients)}</div></div>
<p class="soft sent">${mail.sent === null ? markup`received ${fullTime(row.received)}` : fullTime(mail.sent)}</p></div>
${filesView(mail, link)}
${waysView(mail, shown, link())}
${notices(shown, shown.cut || (shown.way === "text" && mail.text.length > MAX_SHOWN_TEXT))}
${shown.way === "html" ? mailFrame(link("html")) : mailText(mail.text)}
<nav class="answers" aria-label="Answer">${answerLink(name, row.id, "reply", "Reply", "reply")}${answerLink(name, row.id, "all", "Reply to all", "replyAll")}${answerLink(name, row.id, "forward", "Forward", "forward")}<a class="raw" href="${link("raw")}" download>Raw message <span class="number">${bytes(row.size)}</span></a></nav>
</article>`;
}

function answerLink(name: string, id: number, way: string, title: string, sign: IconName): Html {
  const href = withQuery(boxLink(name, "compose"), { as: way, id: String(id) });
  return markup`<a class="button quiet" href="${href}" data-answer="${way}">${icon(sign)}${title}</a>`;
}

/** Where the reader comes from, and goes back to. */
export function listLink(name: string, folder: Folder, typed: string): string {
  const place: Place = folder;
  if (typed !== "") return withQuery(folder === "trash" ? boxLink(name, "trash") : boxLink(name), { q: typed });
  return place === "inbox" ? boxLink(name) : boxLink(name, place);
}

function toolbar(row: MailRow, shown: Shown): Html {
  const { name, typed, beside } = shown;
  const back = listLink(name, row.folder, typed);
  const query = { q: typed };
  const what = typed === "" ? "" : " match";
  const step = (id: number | null, sign: IconName, title: string, way: string): Html =>
    id === null
      ? markup`<span class="tool off">${icon(sign)}</span>`
      : markup`<a class="tool" href="${withQuery(boxLink(name, id), query)}" title="${title}" aria-label="${title}" data-step="${way}">${icon(sign)}</a>`;
  const away =
    row.folder === "trash"
      ? markup`${actButton("inbox", "inbox", "Move to the inbox", back)}${actButton("erase", "close", "Delete for ever", back)}`
      : markup`${row.folder === "archive" || row.folder === "snoozed" ? actButton("inbox", "inbox", "Move to the inbox", back) : actButton("archive", "archive", "Archive", back)}${actButton("trash", "trash", "Move to the trash", back)}`;
  return markup`<form class="toolbar" method="post" action="${boxLink(name, "act")}" data-act>
<input type="hidden" name="id" value="${row.id}"><input type="hidden" name="back" value="${back}">
<a class="tool" href="${back}" title="Back to the list" aria-label="Back to the list" data-back>${icon("back")}</a>
${away}${actButton("unread", "mail", "Mark as unread", back)}${row.folder !== "trash" && row.folder !== "sent" && snoozeMenu(back)}
${starButton(row)}
<span class="beside" role="group" aria-label="Messages beside this one">${step(beside.newer, "up", `Newer${what}`, "newer")}${step(beside.older, "down", `Older${what}`, "older")}</span></form>`;
}

function filesView(mail: ParsedMail, link: (...rest: (string | number)[]) => string): Html | false {
  const files = mail.files.map(
    (file, i) =>
      markup`<li><a href="${link("file", i + 1)}" download>${icon("clip")}<span title="${file.name}">${shortName(file.name)}</span> <span class="number">${bytes(file.size)}</span></a></li>`,
  );
  return files.length > 0 && markup`<ul class="files" aria-label="Files">${files}</ul>`;
}

function waysView({ html }: ParsedMail, { way, typed }: Shown, message: string): Html | false {
  const self = (as: string): string => withQuery(message, { q: typed, as });
  return (
    html !== undefined &&
    markup`<div class="forms"><a href="${self("")}"${attribute(way === "html", 'aria-current="true"')}>Formatted</a> <a href="${self("text")}"${attribute(way === "text", 'aria-current="true"')}>Plain text</a></div>`
  );
}

function notices({ way, blocked }: Shown, cut: boolean): Html {
  return markup`${
    way === "html" &&
    blocked > 0 &&
    markup`<p class="notice">Remote content is blocked: this message wanted to load ${plural(blocked, "thing")} from elsewhere, which would have told its sender that it was read.</p>`
  }${cut && markup`<p class="notice">This message is very long; only its beginning is shown. The raw message is whole.</p>`}`;
}

// Without allow-scripts and allow-same-origin nothing in the frame runs, and it is a stranger to this server.
function mailFrame(source: string): Html {
  return markup`<iframe title="The message" sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer" src="${source}"></iframe>`;
}

function mailText(text: string): Html {
  if (text.trim() === "")
    return markup`<p class="text empty">${none("This message has no text. The raw message may hold more.")}</p>`;
  return markup`<div class="text">${new Html(withoutEdges(text).slice(0, MAX_SHOWN_TEXT).toWellFormed().split("\n").map(textLine).join("\n"))}</div>`;
}

// Quoted lines step back; web addresses can be followed, to a page that does not hear where its visitor comes from.
function textLine(line: string): string {
  const linked = escapeText(line).replace(
    /\bhttps?:\/\/(?:[^\s<>&"']|&amp;)+(?<![.,;:!?)\]])/g,
    (url) => `<a href="${url}" target="_blank" rel="noopener noreferrer nofollow">${url}</a>`,
  );
  return /^\s*>/.test(line) ? `<span class="q">${linked}</span>` : linked;
}

function manyAddresses(text: string): Html {
  if (text === "") return none("nobody stated");
  if (text.length <= SHOWN_ADDRESSES) return markup`<span>${breakable(text)}</span>`;
  const [first = text] = text.split(", ", 1);
  const others = addressesOf(text).length - 1;
  return markup`<details><summary>${breakable(first.slice(0, SHOWN_ADDRESSES))} and ${plural(others, "other")}</summary>${breakable(text)}</details>`;
}
