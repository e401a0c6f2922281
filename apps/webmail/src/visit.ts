// A request of somebody who is in a mailbox, and how its parts are read.

import type { FetchContext, Get, Stub } from "frond";
import type { Mailbox } from "./mailbox.ts";
import { MAX_QUERY_LENGTH } from "./query.ts";

/** Somebody with a session, in the mailbox that it opens. */
export interface Visit {
  readonly request: Request;
  readonly url: URL;
  /** The parts of the path behind the mailbox. */
  readonly path: readonly string[];
  readonly get: Get;
  readonly context: FetchContext;
  readonly name: string;
  readonly mailbox: Stub<Mailbox>;
}

/** True if the script of a page asks, which wants data and no page. */
export function wantsJson(request: Request): boolean {
  return (request.headers.get("accept") ?? "").includes("application/json");
}

/** The parts of a path, decoded; one that no route knows if they cannot be. */
export function pathParts(pathname: string): string[] {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return ["\0"];
  }
}

/** A number in a path or a form, or undefined. */
export function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A parameter of a query. What people type ends up in statements: bounded, and text that SQLite takes. */
export function textParameter(url: URL, name: string): string {
  return cleanTyped(url.searchParams.get(name) ?? "", MAX_QUERY_LENGTH);
}

/** What was typed into a form, as the database takes it. */
export function cleanTyped(text: string, most: number): string {
  return text.slice(0, most).toWellFormed().replaceAll("\0", " ");
}

/** Longest form that is read, in bytes: the longest draft, each character of which may take nine. */
const MAX_FORM_BYTES = 6 * 1024 * 1024;

/** The fields of a form, or undefined if the body is none, or too long for one. */
export async function formOf(request: Request): Promise<URLSearchParams | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_FORM_BYTES) return undefined;
  if (!(request.headers.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded")) return undefined;
  return new URLSearchParams(await request.text());
}
