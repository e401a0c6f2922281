// The answers of the HTTP side: pages, JSON for the pages' script, files.
//
// Rule: every answer carries a Content Security Policy under which nothing runs but this server's own script, and nothing
// is fetched but from this server. Whatever its sender calls it, a file is bytes to be saved, never shown.

import type { Html } from "./markup.ts";
import { barePage, failureBody } from "./views/shell.ts";
import { wantsJson } from "./visit.ts";

const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; frame-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";
const FILE_POLICY = "default-src 'none'; sandbox";

// Nothing leaves with a link to elsewhere; within this server a browser may say which page asked.
const COMMON_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": PAGE_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
} as const;

type Headers = Readonly<Record<string, string>>;

/** A text of some type. */
export function text(body: string, type: string, status = 200, headers: Headers = {}): Response {
  return new Response(body, { status, headers: { ...COMMON_HEADERS, "content-type": type, ...headers } });
}

/** A page. */
export function html(page: Html, status = 200, headers: Headers = {}): Response {
  return text(page.text, "text/html; charset=utf-8", status, headers);
}

/** The HTML of a message, for a frame without scripts. */
export function mailDocument(body: string, style: string): Response {
  const document =
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
    `<title>The message</title><style>${style}</style></head><body dir="auto">${body}</body></html>`;
  return text(document, "text/html; charset=utf-8", 200, {
    "content-security-policy": MAIL_POLICY,
    "referrer-policy": "no-referrer",
  });
}

/** What the script of a page asked for. */
export function json(value: object, status = 200): Response {
  return text(JSON.stringify(value), "application/json", status);
}

/** "Go there now", after something was done. */
export function seeOther(location: string, headers: Headers = {}): Response {
  return new Response(null, { status: 303, headers: { ...COMMON_HEADERS, location, ...headers } });
}

/** Bytes to be saved. */
export function file(bytes: Uint8Array, asCalled: string): Response {
  return fileStream(bytes as Uint8Array<ArrayBuffer>, bytes.length, asCalled);
}

/** The same from a stream of `size` bytes. */
export function fileStream(
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>,
  size: number,
  asCalled: string,
): Response {
  const name = asCalled.replace(/[/\\]/g, "_");
  const plain = name.replace(/[^\w .()+-]/g, "_").slice(0, 100);
  const full = encodeURIComponent(name.slice(0, 200).toWellFormed()).replace(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return new Response(body, {
    headers: {
      ...COMMON_HEADERS,
      "content-length": String(size),
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${plain}"; filename*=UTF-8''${full}`,
      "content-security-policy": FILE_POLICY,
    },
  });
}

/** What went wrong and what to do, as a page or for its script. */
export function failure(
  request: Request,
  status: number,
  title: string,
  advice: string,
  headers: Headers = {},
): Response {
  if (wantsJson(request)) return text(JSON.stringify({ error: advice }), "application/json", status, headers);
  return html(barePage(title, failureBody(title, advice)), status, headers);
}
