// Reading in a mailbox: its lists, a message with its parts, a draft.
//
// The HTML of a message is served at an address of its own, for a sandboxed frame, under a policy that lets nothing run
// and nothing be fetched; files are served for saving only.

import { failure, file, html, mailDocument } from "./answers.ts";
import { boxFrame } from "./boxFrame.ts";
import { withSizes } from "./cuts.ts";
import type { DraftText } from "./drafts.ts";
import { isPlace, type Place, TITLES } from "./folders.ts";
import { safeHtml, type Picture } from "./html.ts";
import type { MailLine } from "./lists.ts";
import type { MailRow } from "./mailbox.ts";
import type { Html } from "./markup.ts";
import { parseMail, type ParsedMail } from "./message.ts";
import { searchQuery } from "./query.ts";
import { EMPTY_OPENING, openingFor, type AnswerWay } from "./quote.ts";
import { readPast } from "./restoring.ts";
import { MAIL_STYLE } from "./style.ts";
import { composeView, type ComposeState } from "./views/compose.ts";
import { draftsView, listView } from "./views/list.ts";
import { readView } from "./views/read.ts";
import { boxPage } from "./views/shell.ts";
import { numberIn, textParameter, type Visit } from "./visit.ts";

/** Messages on a page. */
const MESSAGES_PER_PAGE = 50;

/** Answers a GET within a mailbox; undefined: there is nothing at this address. */
export async function readInBox(visit: Visit): Promise<Response | undefined> {
  const [first = "inbox", ...rest] = visit.path;
  if (isPlace(first) && rest.length === 0) return first === "drafts" ? drafts(visit) : list(visit, first);
  if (first === "compose" && rest.length === 0) return compose(visit);
  if (first === "live" && rest.length === 0) return visit.mailbox.fetch(visit.request);
  if (first === "restore" && rest.length === 0) return readPast(visit);
  if (first === "draft") return draft(visit, rest);
  return message(visit, first, rest);
}

/** The page where a letter is written; also when it could not be sent. */
export async function composePage(visit: Visit, state: Omit<ComposeState, "name">, status = 200): Promise<Response> {
  const { name } = visit;
  const place = state.id === undefined ? undefined : "drafts";
  return inFrame(visit, state.subject || "New message", composeView({ ...state, name }), place, status);
}

async function list(visit: Visit, place: Exclude<Place, "drafts">): Promise<Response> {
  const { mailbox, url, name } = visit;
  const typed = textParameter(url, "q").trim();
  const query = searchQuery(textParameter(url, "q"), true);
  const before = numberIn(textParameter(url, "before")) ?? Number.MAX_SAFE_INTEGER;
  const asked = MESSAGES_PER_PAGE + 1;
  const inTrash = place === "trash";
  let found: MailLine[] = [];
  let matches: number | undefined;
  const counts = mailbox.counts();
  if (query !== undefined) {
    [found, matches] = await Promise.all([
      mailbox.search(query, before, asked, inTrash),
      mailbox.matches(query, inTrash),
    ]);
  } else if (typed === "") {
    found = await (place === "starred" ? mailbox.starred(before, asked) : mailbox.list(before, asked, place));
  }
  const lines = found.slice(0, MESSAGES_PER_PAGE);
  const of = (await counts)[place === "starred" ? "inbox" : place];
  const body = listView(lines, {
    name,
    place,
    messages: place === "starred" ? lines.length : of.messages,
    unread: place === "starred" ? 0 : of.unread,
    typed,
    matches,
    first: before === Number.MAX_SAFE_INTEGER,
    more: found.length > lines.length,
    self: `${url.pathname}${url.search}`,
  });
  return inFrame(visit, typed === "" ? TITLES[place] : typed, body, typed === "" || inTrash ? place : undefined);
}

async function drafts(visit: Visit): Promise<Response> {
  return inFrame(visit, TITLES.drafts, draftsView(visit.name, await visit.mailbox.drafts()), "drafts");
}

async function compose(visit: Visit): Promise<Response> {
  const { mailbox, url, name } = visit;
  const way = textParameter(url, "as");
  const id = numberIn(textParameter(url, "id"));
  const fresh = { id: undefined, forward: undefined, files: [], problem: undefined };
  if (id === undefined || !isAnswer(way)) {
    const given: Partial<DraftText> = { recipients: textParameter(url, "to"), subject: textParameter(url, "subject") };
    return composePage(visit, { ...EMPTY_OPENING, ...given, ...fresh });
  }
  const row = await mailbox.read(id);
  if (row === undefined) return noMessage(visit);
  const mail = await parseMail(row.raw);
  const forward = way === "forward" && mail.files.length > 0 ? id : undefined;
  return composePage(visit, { ...openingFor(way, mail, name), ...fresh, forward });
}

async function draft(visit: Visit, rest: readonly string[]): Promise<Response | undefined> {
  const { mailbox, request } = visit;
  const [id, file_, ...more] = [numberIn(rest[0]), numberIn(rest[2])];
  if (id === undefined || more.length > 0 || rest.length > 3) return undefined;
  if (rest.length === 1) {
    const there = await mailbox.draft(id);
    if (there !== undefined) return composePage(visit, { ...there, forward: undefined, problem: undefined });
    return failure(request, 404, "No such draft", "It was sent or discarded.");
  }
  if (rest[1] !== "file" || file_ === undefined) return undefined;
  const [found] = await mailbox.draftFiles(id, file_);
  return found && file(found.bytes, found.name);
}

async function message(visit: Visit, first: string, rest: readonly string[]): Promise<Response | undefined> {
  const [what, number, ...more] = rest;
  if (more.length > 0) return undefined;
  const id = numberIn(first);
  const row = id === undefined ? undefined : await visit.mailbox.read(id);
  if (row === undefined) return noMessage(visit);
  if (what === "raw" && number === undefined) {
    const raw = await visit.mailbox.whole(row.id);
    return raw === undefined ? noMessage(visit) : file(raw, `${row.subject || "message"}.eml`);
  }
  const mail = withSizes(await parseMail(row.raw), row.cuts);
  if (what === undefined) return read(visit, row, mail);
  if (what === "html" && number === undefined) return htmlOf(visit, row, mail);
  const index = what === "file" ? (numberIn(number) ?? 0) - 1 : -1;
  if (mail.files[index] === undefined) return undefined;
  const isCut = row.cuts.some((cut) => cut.file === index);
  const wanted = (isCut ? await wholeOf(visit, row) : mail)?.files[index];
  return wanted === undefined ? noMessage(visit) : file(wanted.bytes, wanted.name);
}

// Large pictures within the text are fetched only for the frame that shows them.
async function htmlOf(visit: Visit, row: MailRow, mail: ParsedMail): Promise<Response | undefined> {
  const isWhole = row.cuts.every((cut) => mail.files[cut.file]?.cid === undefined);
  const shown = isWhole ? mail : await wholeOf(visit, row);
  if (shown?.html === undefined) return undefined;
  return mailDocument(safeHtml(shown.html, picturesOf(shown)).html, MAIL_STYLE);
}

/** The message with what was cut out of it; undefined: erased meanwhile. */
async function wholeOf({ mailbox }: Visit, row: MailRow): Promise<ParsedMail | undefined> {
  const raw = await mailbox.whole(row.id);
  return raw && parseMail(raw);
}

async function read(visit: Visit, row: MailRow, mail: ParsedMail): Promise<Response> {
  const { url, name, mailbox, request } = visit;
  const way = mail.html === undefined || url.searchParams.get("as") === "text" ? "text" : "html";
  const { blocked, cut } = way === "html" ? safeHtml(mail.html ?? "", picturesOf(mail)) : { blocked: 0, cut: false };
  const typed = textParameter(url, "q").trim();
  const [beside, waiting] = await Promise.all([
    mailbox.neighbours(row.id, searchQuery(typed, true)),
    row.folder === "sent" ? mailbox.waiting(row.id) : [],
    row.unread === 1 && isReading(request) ? mailbox.setUnread([row.id], false) : undefined,
  ]);
  const body = readView(row, mail, { name, way, blocked, cut, typed, beside, waiting });
  return inFrame(visit, mail.subject || "no subject", body, row.folder);
}

async function inFrame(visit: Visit, title: string, body: Html, place?: Place, status = 200): Promise<Response> {
  return html(boxPage(await boxFrame(visit, title, place), body), status);
}

function noMessage({ request }: Visit): Response {
  return failure(request, 404, "Not here", "There is no such message in this mailbox.");
}

function picturesOf(mail: ParsedMail): Map<string, Picture> {
  return new Map(mail.files.flatMap((part) => (part.cid === undefined ? [] : [[part.cid, part] as const])));
}

// A page that is shown anew because something changed elsewhere was not read for that.
function isReading(request: Request): boolean {
  return request.method === "GET" && request.headers.get("x-refresh") === null;
}

function isAnswer(way: string): way is AnswerWay {
  return way === "reply" || way === "all" || way === "forward";
}
