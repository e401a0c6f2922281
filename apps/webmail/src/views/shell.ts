// The frame that pages stand in: bare for those who have not picked a mailbox, with search and folders for those who have.
//
// Rule: everything works without the script of the page; the script makes it quicker (client/). What it swaps when
// something changed has an id: `places` and `main`.

import { type Counts, PLACES, type Place, TITLES } from "../folders.ts";
import { boxLink } from "../links.ts";
import { attribute, type Html, markup, type Part } from "../markup.ts";
import { avatar, breakable, count } from "./format.ts";
import { FROND, icon, type IconName } from "./icons.ts";

/** What the frame of a mailbox shows around a page. */
export interface BoxFrame {
  readonly name: string;
  readonly title: string;
  readonly counts: Counts;
  /** Where the reader is, if it is one of the folders. */
  readonly place?: Place | undefined;
  /** What stands in the search box. */
  readonly typed: string;
}

/** A page in the frame of a mailbox. */
export function boxPage(frame: BoxFrame, body: Html): Html {
  const { name, typed, counts, title } = frame;
  const unread = counts.inbox.unread > 0 ? `(${count(counts.inbox.unread)}) ` : "";
  const top = markup`<a class="tool menu" href="#places" aria-label="Folders">${icon("menu")}</a>
<a class="brand" href="${boxLink(name)}">${FROND}<span>frond mail</span></a>
${searchForm(boxLink(name, ...(frame.place === "trash" ? ["trash"] : [])), typed, frame.place === "trash" ? "Search the trash" : "Search mail", true)}
<details class="me"><summary aria-label="You are ${name}">${avatar(name)}</summary>
<div class="panel"><p class="address">${breakable(name)}</p>
<p class="soft">A demo: whoever reaches this server can open this mailbox, no password is asked.</p>
<div class="ways"><a class="button quiet" href="${boxLink(name, "restore")}">Restore</a><a class="button quiet" href="/">Other mailbox</a><form method="post" action="/logout"><button class="button quiet">Sign out</button></form></div></div></details>`;
  return htmlPage(
    `${unread}${title} · ${name}`,
    "boxed",
    markup`<header class="bar">${top}</header>
<div class="frame">
${placesView(frame)}
<a class="shade" href="#main" aria-label="Close the folders"></a>
<main id="main" tabindex="-1">
${body}
</main>
</div>
${helpDialog()}`,
    name,
  );
}

/** A page for nobody in particular. */
export function barePage(title: string, body: Html, name?: string): Html {
  return htmlPage(
    title,
    "bare",
    markup`<header class="bar"><a class="brand" href="${name === undefined ? "/" : boxLink(name)}">${FROND}<span>frond mail</span></a></header>
<main id="main" tabindex="-1">
${body}
</main>`,
  );
}

/** A field to search in, which is a form of its own. */
export function searchForm(action: string, typed: string, hint: string, live: boolean): Html {
  return markup`<form class="search" role="search" action="${action}"${attribute(live, "data-live")}>${icon("search")}<input type="search" name="q" value="${typed}" placeholder="${hint}" aria-label="${hint}" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="1000"><button class="out">Search</button></form>`;
}

/** What is said where nothing is. */
export function blank(sign: IconName, title: string, ...advice: Part[]): Html {
  return markup`<div class="blank">${icon(sign)}<p><strong>${title}</strong></p>${advice.map((part) => markup`<p>${part}</p>`)}</div>`;
}

/** What is said when something is not there or went wrong. */
export function failureBody(title: string, advice: Part, name?: string): Html {
  const way = name === undefined ? ["/", "All mailboxes"] : [boxLink(name), "Back to the inbox"];
  return markup`<div class="blank failed">${icon("mail")}<h1>${title}</h1><p>${advice}</p><p><a class="button" href="${way[0]}">${way[1]}</a></p></div>`;
}

function htmlPage(title: string, kind: string, body: Html, name?: string): Html {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#fbfaf7" media="(prefers-color-scheme: light)"><meta name="theme-color" content="#15181a" media="(prefers-color-scheme: dark)">
<title>${title} · frond mail</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/style.css">
<script type="module" src="/client/main.js"></script>
</head>
<body class="${kind}"${name !== undefined && markup` data-box="${boxLink(name)}"`}>
<a class="skip" href="#main">Skip to the content</a>
${body}
<p id="banner" role="alert" hidden></p>
<div id="toast" role="status" aria-live="polite"></div>
</body>
</html>
`;
}

function placesView({ name, counts, place }: BoxFrame): Html {
  const rows = PLACES.map((each) => {
    // Unread mail counts where it comes in; of drafts it matters that there are any.
    const number = each === "inbox" ? counts.inbox.unread : each === "drafts" ? counts.drafts.messages : 0;
    const said = each === "inbox" ? `${number} unread` : `${number}`;
    const shown =
      number > 0 &&
      markup`<span class="count" aria-hidden="true">${count(number)}</span><span class="out">, ${said}</span>`;
    const link = each === "inbox" ? boxLink(name) : boxLink(name, each);
    return markup`<li><a href="${link}" data-place="${each}"${attribute(each === place, 'aria-current="page"')}>${icon(SIGNS[each])}<span>${TITLES[each]}</span>${shown}</a></li>`;
  });
  return markup`<nav class="places" id="places" aria-label="Folders">
<a class="button write" href="${boxLink(name, "compose")}">${icon("pencil")}Compose</a>
<ul>${rows}</ul>
<p class="keys"><button type="button" class="plain" data-help>Keyboard: press <kbd>?</kbd></button></p>
</nav>`;
}

const SIGNS: Readonly<Record<Place, IconName>> = {
  inbox: "inbox",
  starred: "star",
  snoozed: "clock",
  sent: "sent",
  drafts: "drafts",
  archive: "archive",
  trash: "trash",
};

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    "Everywhere",
    [
      ["c", "compose"],
      ["/", "search"],
      ["g i", "go to the inbox"],
      ["g t", "go to sent"],
      ["g d", "go to drafts"],
      ["g a", "go to the archive"],
      ["Ctrl Enter", "send"],
      ["?", "this help"],
    ],
  ],
  [
    "In a list",
    [
      ["j k", "next, previous"],
      ["Enter", "open"],
      ["x", "select"],
      ["s", "star"],
      ["e", "archive"],
      ["#", "to the trash"],
      ["u", "read or unread"],
      ["z", "snooze"],
    ],
  ],
  [
    "In a message",
    [
      ["j k", "older, newer"],
      ["r a", "reply, reply to all"],
      ["f", "forward"],
      ["e #", "archive, trash"],
      ["s", "star"],
      ["z", "snooze"],
      ["u", "back to the list"],
    ],
  ],
];

function helpDialog(): Html {
  const groups = KEYS.map(([title, keys]) => {
    const rows = keys.map(
      ([pressed, what]) =>
        markup`<div><dt>${pressed.split(" ").map((key) => markup`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd></div>`,
    );
    return markup`<section><h3>${title}</h3><dl>${rows}</dl></section>`;
  });
  return markup`<dialog id="help" aria-labelledby="help-title"><form method="dialog"><h2 id="help-title">Keys</h2><button class="tool" aria-label="Close">${icon("close")}</button></form><div class="groups">${groups}</div></dialog>`;
}
