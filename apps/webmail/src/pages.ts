// The HTTP side: which page an address is, and what it needs from the cells.
//
// Rule: reading never creates anything, only GET and HEAD are answered, and each answer says what a browser may do with
// it. The HTML of a message is served at an address of its own, for a sandboxed frame, under a policy that lets nothing
// run and nothing be fetched; files are served for saving only, never for showing.

import { FrondError, type Get } from "frond";
import { DIRECTORY_NAME, Directory } from "./directory.ts";
import { safeHtml, type Picture } from "./html.ts";
import { Mailbox, type MailRow } from "./mailbox.ts";
import { COMMON_HEADERS, page } from "./markup.ts";
import { parseMail, type ParsedMail } from "./message.ts";
import { MAX_QUERY_LENGTH, searchQuery } from "./query.ts";
import { ICON, MAIL_STYLE, STYLE } from "./style.ts";
import { boxLink, failureView, listView, pickView, readView } from "./views.ts";

/** Mailboxes on a page, and messages on one. */
const MAILBOXES_PER_PAGE = 60;
const MESSAGES_PER_PAGE = 50;

const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";
const FILE_POLICY = "default-src 'none'; sandbox";

/** Answers a request to the mail app. */
export async function answer(request: Request, get: Get): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return failure(405, "Only reading here", "This page answers GET and HEAD.", { allow: "GET, HEAD" });
  }
  try {
    return (await route(new URL(request.url), get)) ?? notFound("There is nothing at this address.");
  } catch (error) {
    if (!(error instanceof FrondError)) throw error;
    if (error.code === "BAD_ADDRESS") return notFound("This cannot be the name of a mailbox.");
    if (!error.retryable) throw error;
    return failure(503, "Not just now", "The server is busy or stopping. Try again in a moment.", {
      "retry-after": "1",
    });
  }
}

async function route(url: URL, get: Get): Promise<Response | undefined> {
  const [first, name, id, what, number, ...rest] = pathParts(url.pathname);
  if (rest.length > 0) return undefined;
  if (first === "" && name === undefined) return pick(url, get);
  if (first === "style.css" && name === undefined) return text(STYLE, "text/css; charset=utf-8");
  if (first === "icon.svg" && name === undefined) return text(ICON, "image/svg+xml");
  if (first === "totals" && name === undefined) return Response.json(await get(Directory, DIRECTORY_NAME).totals());
  if (first !== "mailbox" || name === undefined || name === "") return undefined;
  if (id === undefined) return list(url, get, name);
  const row = /^\d{1,15}$/.test(id) ? await get(Mailbox, name).read(Number(id)) : undefined;
  if (row === undefined) return notFound("There is no such message in this mailbox.", name);
  if (what === undefined) return read(url, get, name, row);
  if (number === undefined && what === "raw") return file(row.raw, `${row.subject || "message"}.eml`);
  const mail = await parseMail(row.raw);
  if (number === undefined && what === "html") return frame(mail);
  const wanted = what === "file" && /^\d{1,6}$/.test(number ?? "") ? mail.files[Number(number) - 1] : undefined;
  return wanted && file(wanted.bytes, wanted.name);
}

async function pick(url: URL, get: Get): Promise<Response> {
  const directory = get(Directory, DIRECTORY_NAME);
  const typed = textParameter(url, "q").trim().toLowerCase();
  const after = textParameter(url, "after");
  const asked = MAILBOXES_PER_PAGE + 1;
  const everything = typed === "" && after === "";
  const [totals, matching, found] = await Promise.all([
    directory.totals(),
    directory.totalsOf(typed),
    everything ? directory.fullest(asked) : directory.find(typed, after, asked),
  ]);
  const entries = found.slice(0, MAILBOXES_PER_PAGE);
  // The fullest mailboxes are no place in the order of names: there is nothing to continue after them.
  const more = !everything && found.length > entries.length;
  return page(
    typed === "" ? "Mailboxes" : typed,
    [],
    pickView(entries, { typed, totals, matching, fullest: everything, more }),
  );
}

async function list(url: URL, get: Get, name: string): Promise<Response> {
  const mailbox = get(Mailbox, name);
  const typed = textParameter(url, "q").trim();
  const query = searchQuery(typed);
  const given = textParameter(url, "before");
  const before = /^\d{1,15}$/.test(given) ? Number(given) : Number.MAX_SAFE_INTEGER;
  const asked = MESSAGES_PER_PAGE + 1;
  const messages = await mailbox.count();
  if (messages === 0) return notFound(`${name} has no mail: a mailbox exists from its first message on.`);
  let found = typed === "" ? await mailbox.list(before, asked) : [];
  let matches: number | undefined;
  if (query !== undefined) {
    [found, matches] = await Promise.all([mailbox.search(query, before, asked), mailbox.matches(query)]);
  }
  const lines = found.slice(0, MESSAGES_PER_PAGE);
  const first = before === Number.MAX_SAFE_INTEGER;
  const state = { messages, typed, matches, first, more: found.length > lines.length };
  return page(name, [[name, boxLink(name)]], listView(name, lines, state));
}

async function read(url: URL, get: Get, name: string, row: MailRow): Promise<Response> {
  const mail = await parseMail(row.raw);
  const way = mail.html === undefined || url.searchParams.get("as") === "text" ? "text" : "html";
  const { blocked, cut } = way === "html" ? safeHtml(mail.html ?? "", picturesOf(mail)) : { blocked: 0, cut: false };
  const typed = textParameter(url, "q").trim();
  const back = typed === "" ? boxLink(name) : `${boxLink(name)}?${new URLSearchParams({ q: typed })}`;
  const beside = await get(Mailbox, name).neighbours(row.id, searchQuery(typed));
  const shown = { way, blocked, cut, typed, beside } as const;
  return page(mail.subject || "no subject", [[name, back]], readView(name, row, mail, shown));
}

function frame(mail: ParsedMail): Response | undefined {
  if (mail.html === undefined) return undefined;
  const { html } = safeHtml(mail.html, picturesOf(mail));
  const document =
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
    `<title>The message</title><style>${MAIL_STYLE}</style></head><body>${html}</body></html>`;
  return text(document, "text/html; charset=utf-8", { "content-security-policy": MAIL_POLICY });
}

function picturesOf(mail: ParsedMail): Map<string, Picture> {
  return new Map(mail.files.flatMap((part) => (part.cid === undefined ? [] : [[part.cid, part] as const])));
}

// Whatever its sender calls it, a file is bytes to be saved.
function file(bytes: Uint8Array, name: string): Response {
  const plain = name.replace(/[^\w .()+-]/g, "_").slice(0, 100);
  const full = encodeURIComponent(name.slice(0, 200).toWellFormed()).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return new Response(bytes as Uint8Array<ArrayBuffer>, {
    headers: {
      ...COMMON_HEADERS,
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${plain}"; filename*=UTF-8''${full}`,
      "content-security-policy": FILE_POLICY,
    },
  });
}

function text(body: string, type: string, headers: Record<string, string> = {}): Response {
  return new Response(body, { headers: { ...COMMON_HEADERS, "content-type": type, ...headers } });
}

function notFound(advice: string, mailbox?: string): Response {
  return failure(404, "Not here", advice, {}, mailbox);
}

function failure(
  status: number,
  title: string,
  advice: string,
  headers: Record<string, string> = {},
  mailbox?: string,
): Response {
  const trail = mailbox === undefined ? [] : ([[mailbox, boxLink(mailbox)]] as const);
  const response = page(title, trail, failureView(title, advice), status);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

function pathParts(pathname: string): string[] {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return ["\0"];
  }
}

// What people type ends up in statements: bounded, and text that SQLite takes.
function textParameter(url: URL, name: string): string {
  const given = url.searchParams.get(name) ?? "";
  return given.slice(0, MAX_QUERY_LENGTH).toWellFormed().replaceAll("\0", " ");
}
