// The page that goes back: the moments there are, and what going to one of them would change.

import type { PastCommit } from "frond";
import type { Differences, Item, Totals } from "../inventory.ts";
import { boxLink, withQuery } from "../links.ts";
import { type Html, markup, type Part } from "../markup.ts";
import type { PastMoment } from "../moments.ts";
import { bytes, count, exactTime, none, plural } from "./format.ts";
import { icon } from "./icons.ts";
import { blank } from "./shell.ts";

/** What the list of moments shows. */
export interface MomentsState {
  readonly name: string;
  readonly now: Totals;
  /** The newest first; without totals where it was not looked into. */
  readonly moments: readonly (PastMoment & { readonly totals: Totals | undefined })[];
  /** The state of the mailbox that this page shows. */
  readonly seen: string;
  readonly problem: string | undefined;
  /** Where the mailbox has just gone back to, and where to go to undo that. */
  readonly done: PastCommit | undefined;
  readonly undo: string;
}

/** What a preview shows. */
export interface PreviewState {
  readonly name: string;
  readonly moment: PastCommit;
  readonly seen: string;
  /** Undefined: they cannot be told. */
  readonly differences: Differences | undefined;
  /** Why it is shown again. */
  readonly note: string | undefined;
}

/** Subjects that are named. */
const NAMED = 4;

/** The moments to which the mailbox can go back. */
export function momentsView(state: MomentsState): Html {
  const { name, now, moments, problem } = state;
  const rows = moments.map((moment) => momentRow(moment, now, name));
  const list =
    rows.length > 0
      ? markup`<ul class="rows moments">${rows}</ul>`
      : blank(
          "clock",
          "Nothing to go back to yet.",
          "Each change of your mailbox is kept for some days and appears here.",
        );
  return markup`<div class="past" data-still>
<div class="head"><h1>Restore</h1><p class="under">Now: ${totalsText(now)}</p></div>
${problem !== undefined && markup`<p class="problem" role="alert">${problem}</p>`}
${doneNote(state)}
<p class="soft lead">Your mailbox can be as it was at any of these moments. You see what would change before anything does, and every restore can be undone.</p>
${list}
${downloadForm(name)}
</div>`;
}

/** What is said where no history is kept. */
export function noHistoryView(name: string): Html {
  return markup`<div class="past" data-still><div class="head"><h1>Restore</h1></div>
${blank("clock", "This server keeps no history.", "A mailbox cannot go back to what it was here.")}
${downloadForm(name)}</div>`;
}

/** What going back would change, and the button that does it. */
export function previewView({ name, moment, seen, differences, note }: PreviewState): Html {
  const link = boxLink(name, "restore");
  const lines = differences && changeLines(differences);
  const nothing = lines?.length === 0;
  const what =
    lines === undefined
      ? markup`<p>This is from before an update of the server: what would change cannot be told.</p>`
      : nothing
        ? markup`<p>Nothing would change: your mailbox is as it was then.</p>`
        : markup`<ul class="changes">${lines}</ul>`;
  const button =
    !nothing &&
    markup`<form method="post" action="${link}" data-slow><input type="hidden" name="at" value="${moment.position}"><input type="hidden" name="seen" value="${seen}"><button class="button">${icon("clock")}Restore</button></form>`;
  return markup`<div class="past" data-still>
<div class="head"><h1>Go back to ${exactTime(moment.time)}?</h1></div>
${note !== undefined && markup`<p class="notice" role="alert">${note} This is what would change now.</p>`}
${what}
${!nothing && markup`<p class="soft">What you have now is kept, so you can undo this. Letters that you sent stay sent.</p>`}
<div class="answers">${button}<a class="button quiet" href="${link}">${nothing ? "Back" : "Cancel"}</a></div>
</div>`;
}

function doneNote({ name, seen, done, undo }: MomentsState): Html | false {
  if (done === undefined) return false;
  return markup`<div class="notice done" role="status"><p>Done: your mailbox is as it was on ${exactTime(done.time)}.</p><form method="post" action="${boxLink(name, "restore")}" data-slow><input type="hidden" name="at" value="${undo}"><input type="hidden" name="seen" value="${seen}"><button class="button quiet">Undo this restore</button></form></div>`;
}

function momentRow(
  { position, time, size, undone, totals }: MomentsState["moments"][number],
  now: Totals,
  name: string,
): Html {
  return markup`<li class="moment"><a class="state" href="${withQuery(boxLink(name, "restore"), { at: position })}">
<span class="when">${exactTime(time)}${undone && markup` <span class="chip">before a restore</span>`}</span>
<span class="soft">${totals === undefined ? bytes(size) : totalsText(totals)}</span>
<span class="change">${totals !== undefined && changeText(totals, now)}</span></a></li>
`;
}

function totalsText({ messages, inbox, unread, drafts }: Totals): string {
  const parts = [
    plural(messages, "message"),
    messages > 0 && `${inbox === messages ? "all" : count(inbox)} in the inbox`,
    unread > 0 && `${count(unread)} unread`,
    drafts > 0 && plural(drafts, "draft"),
  ];
  return parts.filter((part) => part !== false).join(", ");
}

// How the numbers differ from those of now.
function changeText(then: Totals, now: Totals): string {
  const parts = [difference(then.messages - now.messages, "message"), difference(then.drafts - now.drafts, "draft")];
  const texts = parts.filter((text) => text !== undefined);
  return texts.length === 0 ? "" : `${texts.join(", ")} than now`;
}

function difference(n: number, one: string): string | undefined {
  return n === 0 ? undefined : `${plural(Math.abs(n), one)} ${n > 0 ? "more" : "fewer"}`;
}

function changeLines(is: Differences): Html[] {
  const { messagesBack, messagesGone, draftsBack, draftsGone, messagesChanged, draftsChanged } = is;
  const lines = [
    itemsLine(messagesBack, "message", "will come back", "back"),
    itemsLine(draftsBack, "draft", "will come back", "back"),
    itemsLine(messagesGone, "message", "will be gone", "gone"),
    itemsLine(draftsGone, "draft", "will be gone", "gone"),
    messagesChanged > 0 &&
      markup`<li>${plural(messagesChanged, "message")} will be in the folder, read, starred or snoozed as then</li>`,
    draftsChanged > 0 && markup`<li>${plural(draftsChanged, "draft")} will have the text of then</li>`,
  ];
  return lines.filter((line) => line !== false);
}

function itemsLine(items: readonly Item[], one: string, what: string, kind: string): Html | false {
  if (items.length === 0) return false;
  const named: Part[] = items
    .slice(0, NAMED)
    .map(({ subject }) => markup`<li dir="auto">${subject || none("no subject")}</li>`);
  const more = items.length - NAMED;
  return markup`<li class="${kind}"><strong>${plural(items.length, one)} ${what}</strong><ul>${named}${more > 0 && markup`<li class="soft">and ${count(more)} more</li>`}</ul></li>`;
}

function downloadForm(name: string): Html {
  return markup`<form class="answers" method="post" action="${boxLink(name, "download")}"><button class="button quiet">${icon("download")}Download my mailbox</button><span class="soft">All of it as one file: a SQLite database, and the files of your messages.</span></form>`;
}
