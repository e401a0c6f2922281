// The first page: pick a mailbox. And what somebody sees who is not (or not any more) in the mailbox they asked for.

import type { DirectoryEntry, Totals } from "../directory.ts";
import { boxLink, withQuery } from "../links.ts";
import { type Html, markup } from "../markup.ts";
import { avatar, breakable, count, plural } from "./format.ts";
import { icon } from "./icons.ts";
import { blank, searchForm } from "./shell.ts";

/** What the page where a mailbox is picked shows: what was typed, and how much there is. */
export interface PickState {
  readonly typed: string;
  readonly totals: Totals;
  /** Of the mailboxes that begin like what was typed. */
  readonly matching: Totals;
  /** True if these are the fullest ones, false if they go by name. */
  readonly fullest: boolean;
  readonly more: boolean;
  /** The new mailbox that could be made of what was typed. */
  readonly fresh: string | undefined;
  /** The mailbox that is open in this browser. */
  readonly self: string | undefined;
}

/** The page where a mailbox is picked. */
export function pickView(entries: readonly DirectoryEntry[], state: PickState): Html {
  const { typed, more, fresh, self } = state;
  const rows = entries.map(
    ({ name, messages }) =>
      markup`<li><button name="name" value="${name}">${avatar(name)}<span class="name">${breakable(name)}</span><span class="number">${count(messages)}</span></button></li>`,
  );
  const nothing =
    typed === ""
      ? blank(
          "inbox",
          "No mail has come in yet.",
          "Type a name above to make a mailbox, send mail by SMTP, or run the demo.",
        )
      : blank(
          "search",
          "No mailbox begins like that.",
          fresh === undefined ? "Try fewer letters." : "Try fewer letters, or make it.",
        );
  const next = withQuery("/", { q: typed, after: entries.at(-1)?.name ?? "" });
  return markup`<h1>Pick a mailbox</h1>
<p class="notice"><strong>This is a demo.</strong> There are no passwords: whoever reaches this page can open any mailbox. Do not keep secrets here.</p>
${self !== undefined && markup`<p class="still">You are in <a href="${boxLink(self)}">${breakable(self)}</a>.</p>`}
${searchForm("/", typed, "Name or address", true)}
<div id="list"><p class="under">${pickSummary(entries.length, state)}</p>
<form method="post" action="/login" class="picks">
${fresh !== undefined && markup`<button class="button fresh" name="create" value="${fresh}">${icon("pencil")}<span>Make ${breakable(fresh)} and open it</span></button>`}
${rows.length > 0 ? markup`<ul class="rows box">${rows}</ul>` : nothing}
</form>
${more && markup`<nav class="pages" aria-label="Pages"><a class="button quiet" href="${next}">More mailboxes</a></nav>`}</div>`;
}

/** What stands in the way of a mailbox: nobody is signed in, or somebody else is. */
export function doorView(name: string, next: string, self: string | undefined, known: boolean): Html {
  if (!known) {
    return markup`<div class="blank failed">${icon("mail")}<h1>Not here</h1><p>${name} has no mailbox here: one exists from its first message on.</p><p><a class="button" href="/?q=${encodeURIComponent(name)}">All mailboxes</a></p></div>`;
  }
  const who =
    self === undefined
      ? "Nobody is signed in in this browser."
      : markup`You are signed in as ${breakable(self)}, who cannot see this mailbox.`;
  return markup`<div class="blank failed">${avatar(name)}<h1>${breakable(name)}</h1><p>${who}</p>
<form method="post" action="/login"><input type="hidden" name="next" value="${next}"><button class="button" name="name" value="${name}">Open this mailbox</button></form>
<p class="soft">A demo: no password is asked. <a href="/">Pick another mailbox</a></p></div>`;
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
