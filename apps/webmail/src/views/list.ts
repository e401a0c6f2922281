// Lists: a folder, what a search found, the drafts.
//
// Rule: a list is one form. Its buttons act on the rows that are ticked; the star of a row names its own message.

import type { DraftLine } from "../drafts.ts";
import { type Folder, type Place, TITLES } from "../folders.ts";
import { boxLink, withQuery } from "../links.ts";
import { MARK, MAX_COUNTED, type MailLine } from "../lists.ts";
import { escapeText, Html, markup } from "../markup.ts";
import { avatar, count, nameOf, none, plural, shortTime } from "./format.ts";
import { icon } from "./icons.ts";
import { blank } from "./shell.ts";
import { actButton, snoozeMenu } from "./tools.ts";

/** How a list is shown. */
export interface ListState {
  readonly name: string;
  readonly place: Place;
  /** Messages of the place. */
  readonly messages: number;
  readonly unread: number;
  /** What was typed into the search. */
  readonly typed: string;
  /** Messages that the search finds, up to MAX_COUNTED + 1; undefined if nothing is searched for. */
  readonly matches: number | undefined;
  readonly first: boolean;
  readonly more: boolean;
  /** Its own address. */
  readonly self: string;
}

/** The list of a folder, or what a search found. */
export function listView(lines: readonly MailLine[], state: ListState): Html {
  const { name, place, typed, self } = state;
  const found = state.matches !== undefined;
  const link = (before: string): string =>
    withQuery(place === "inbox" ? boxLink(name) : boxLink(name, place), { q: typed, before });
  return markup`<form class="list" id="list" method="post" action="${boxLink(name, "act")}" data-act>
<input type="hidden" name="back" value="${self}">
<div class="head"><input type="checkbox" class="all" aria-label="Select all" hidden>
<h1>${typed === "" ? TITLES[place] : "Search"}</h1><p class="under">${summary(state)}</p>
${pager(!state.first && link(""), state.more && link(String(lines.at(-1)?.pos ?? 0)))}</div>
${lines.length > 0 && bulkTools(place)}
${lines.length > 0 ? markup`<ul class="rows mails${found && " found"}">${lines.map((line) => mailRow(line, state))}</ul>` : nothing(state)}
</form>`;
}

/** The list of drafts. */
export function draftsView(name: string, drafts: readonly DraftLine[]): Html {
  const rows = drafts.map((draft) => {
    const names = draft.recipients || draft.copies;
    return markup`<li class="mail"><a class="row" href="${boxLink(name, "draft", draft.id)}">
${avatar(names)}<span class="who">${names || none("no recipient yet")}</span>
<span class="what${draft.files !== "" && " clip"}" dir="auto">${draft.subject || none("no subject")}</span>
<span class="extract" dir="auto">${draft.body}</span>${shortTime(draft.changed)}</a></li>`;
  });
  const body =
    rows.length > 0
      ? markup`<ul class="rows mails drafts">${rows}</ul>`
      : blank("drafts", "No drafts.", "What you write is kept here while you type, until you send or discard it.");
  return markup`<div class="list" id="list"><div class="head"><h1>Drafts</h1><p class="under">${plural(drafts.length, "draft")}</p></div>${body}</div>`;
}

function summary({ messages, unread, matches, name, place, typed }: ListState): Html {
  const all = plural(messages, "message");
  if (typed === "") return markup`${all}${unread > 0 && `, ${count(unread)} unread`}`;
  const where = place === "trash" ? boxLink(name, "trash") : boxLink(name);
  // A search without a word in it says so below.
  if (matches === undefined) return markup`<a href="${where}">show all</a>`;
  const many = matches > MAX_COUNTED ? `more than ${count(MAX_COUNTED)} found` : `${count(matches)} found`;
  return markup`${many}${place === "trash" ? " in the trash" : ""} · <a href="${where}">show all</a>`;
}

function bulkTools(place: Place): Html {
  const away =
    place === "trash"
      ? markup`${actButton("inbox", "inbox", "Move to the inbox")}${actButton("erase", "close", "Delete for ever")}`
      : markup`${place === "archive" || place === "snoozed" ? actButton("inbox", "inbox", "Move to the inbox") : actButton("archive", "archive", "Archive")}${actButton("trash", "trash", "Move to the trash")}`;
  return markup`<div class="bulk" role="group" aria-label="With the selected messages">${away}${actButton("read", "open", "Mark as read")}${actButton("unread", "mail", "Mark as unread")}${place !== "trash" && place !== "sent" && snoozeMenu()}<span class="chosen" aria-live="polite"></span>${place === "trash" && markup`<button class="button quiet empty" name="do" value="empty">Empty the trash</button>`}</div>`;
}

function mailRow(line: MailLine, { name, place, typed }: ListState): Html {
  const sent = line.folder === "sent";
  const who = sent ? line.recipients : nameOf(line.sender);
  const clip = line.files !== "" && markup`<span class="out"> with files: ${line.files}</span>`;
  // In a folder every row would say the same.
  const chip = (typed !== "" || place === "starred") && line.folder !== place && folderChip(line.folder);
  const subject = line.subject || "no subject";
  return markup`<li class="mail${line.unread === 1 && " unread"}" data-id="${line.id}">
<label class="tick"><input type="checkbox" name="id" value="${line.id}" aria-label="Select: ${subject}"></label>
${starButton(line)}
<a class="row" href="${withQuery(boxLink(name, line.id), { q: typed })}">
${avatar(who)}<span class="who">${line.unread === 1 && markup`<span class="out">Unread: </span>`}${sent && "To: "}${who === "" ? none("nobody stated") : markup`<bdi>${who}</bdi>`}</span>
<span class="what${line.files !== "" && " clip"}" dir="auto">${chip}${line.subject || none("no subject")}${clip}</span>
<span class="extract" dir="auto">${marked(line.extract)}</span>
${line.due === null ? shortTime(line.sent ?? line.received) : markup`<span class="due">${icon("clock")}${shortTime(line.due)}</span>`}</a></li>
`;
}

/** The star of a message, as a button. */
export function starButton({ id, starred }: { readonly id: number; readonly starred: 0 | 1 }): Html {
  const is = starred === 1;
  return markup`<button class="tool star" name="do" value="${is ? "unstar" : "star"}:${id}" aria-pressed="${is ? "true" : "false"}" aria-label="Star" title="${is ? "Take the star" : "Give a star"}" data-quiet>${icon("star")}</button>`;
}

function folderChip(folder: Folder): Html {
  return markup`<span class="chip">${TITLES[folder]}</span>`;
}

// Escaped first, so that the marks are the only markup in it.
function marked(extract: string): Html {
  const text = escapeText(extract.replace(/\s+/g, " "));
  return new Html(text.replaceAll(MARK.open, "<mark>").replaceAll(MARK.close, "</mark>"));
}

const EMPTY: Readonly<Record<Exclude<Place, "drafts">, readonly [string, string]>> = {
  inbox: ["Nothing in the inbox.", "All read and put away. New mail appears here by itself."],
  starred: ["No stars yet.", "A star keeps a message at hand: press s, or the star beside it."],
  snoozed: [
    "Nothing is snoozed.",
    "A snoozed message leaves the inbox and comes back when you want it: press z in a message.",
  ],
  sent: ["Nothing sent yet.", "Press c to write to somebody who has a mailbox here."],
  archive: ["The archive is empty.", "Archived messages leave the inbox and stay searchable: press e."],
  trash: ["The trash is empty.", "What you delete waits here until you empty the trash."],
};

function nothing({ typed, matches, place, first }: ListState): Html {
  if (matches === 0)
    return blank(
      "search",
      "No message has all of these words.",
      "Try fewer words, or only the beginning of the last one.",
    );
  if (typed !== "" && matches === undefined)
    return blank("search", "There is no word in that search.", "Type a word or a number.");
  if (!first) return blank("mail", "No older messages.", "This is the end of the list.");
  const [title, advice] = EMPTY[place as keyof typeof EMPTY];
  return blank(place === "starred" ? "star" : place === "snoozed" ? "clock" : place, title, advice);
}

function pager(newest: string | false, older: string | false): Html | false {
  if (newest === false && older === false) return false;
  return markup`<nav class="pages" aria-label="Pages">${newest !== false && markup`<a href="${newest}">Newest</a>`}${older !== false && markup`<a href="${older}">Older</a>`}</nav>`;
}
