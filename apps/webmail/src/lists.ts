// What a mailbox lists: the messages of a folder, those with a star, those that a search finds, page by page.
//
// Rule: a page of a list costs the same wherever it stands and however many messages there are: the place of its last line says
// where the next one begins. A line has what is shown of it and never the raw message. It belongs to the cell of its
// mailbox (mailbox.ts), whose verbs call this.
// Rejected: OFFSET (it reads all that it passes over, and lines move while somebody looks).

import type { Sql } from "frond";
import type { Folder } from "./folders.ts";

/** What a list shows of a message. */
export interface MailLine {
  readonly id: number;
  /** Its place in lists: the next page begins before the last one's. */
  readonly pos: number;
  readonly folder: Folder;
  readonly unread: 0 | 1;
  readonly starred: 0 | 1;
  /** When a snoozed message comes back, in ms since 1970. */
  readonly due: number | null;
  readonly sender: string;
  /** In a list the first of them. */
  readonly recipients: string;
  readonly subject: string;
  /** ms since 1970; null if the message states no time. */
  readonly sent: number | null;
  readonly received: number;
  /** Size of the raw message in bytes. */
  readonly size: number;
  /** Names of the files, one per line. */
  readonly files: string;
  /** The beginning of the text, or where the search words stand, between the marks of {@link MARK}. */
  readonly extract: string;
}

/** The messages next to one in its list; null at either end. */
export interface Neighbours {
  readonly newer: number | null;
  readonly older: number | null;
}

/** Control characters around a found word: cleaned text holds none, so they cannot be forged. */
export const MARK = { open: "\u0002", close: "\u0003" } as const;
/** Most lines of one answer. */
export const MAX_LINES = 200;
/** Matches of a search that are counted: beyond that it is "more than". A bound on the work, not on what is found. */
export const MAX_COUNTED = 1000;
/** Characters of the beginning of a text, and words around a found one. */
const EXTRACT_LENGTH = 160;
const SNIPPET_WORDS = 24;

/** See the head of the file. */
export class Lists {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Messages of a folder from the newest on, those before place `before` only. */
  folder(folder: Folder, before: number, limit: number): MailLine[] {
    return this.#sql.all<MailLine>`
      SELECT id, pos, folder, unread, starred, due, sender, substr(recipients, 1, ${EXTRACT_LENGTH}) AS recipients,
             subject, sent, received,
             length(raw) + coalesce((SELECT sum(size) FROM cut WHERE cut.message = message.id), 0) AS size, files,
             substr(body, 1, ${EXTRACT_LENGTH}) AS extract
      FROM state JOIN message USING (id)
      WHERE folder = ${folder} AND pos < ${before} ORDER BY pos DESC LIMIT ${Math.min(limit, MAX_LINES)}`;
  }

  /** Messages with a star, wherever they stand. */
  starred(before: number, limit: number): MailLine[] {
    return this.#sql.all<MailLine>`
      SELECT id, pos, folder, unread, starred, due, sender, substr(recipients, 1, ${EXTRACT_LENGTH}) AS recipients,
             subject, sent, received,
             length(raw) + coalesce((SELECT sum(size) FROM cut WHERE cut.message = message.id), 0) AS size, files,
             substr(body, 1, ${EXTRACT_LENGTH}) AS extract
      FROM state JOIN message USING (id)
      WHERE starred = 1 AND pos < ${before} ORDER BY pos DESC LIMIT ${Math.min(limit, MAX_LINES)}`;
  }

  /** Messages that a query finds, in the trash or everywhere else; before id `before`. */
  found(query: string, before: number, limit: number, inTrash: boolean): MailLine[] {
    return this.#sql.all<MailLine>`
      SELECT message.id, message.id AS pos, folder, unread, starred, due, message.sender,
             substr(message.recipients, 1, ${EXTRACT_LENGTH}) AS recipients, message.subject, sent, received,
             length(raw) + coalesce((SELECT sum(size) FROM cut WHERE cut.message = message.id), 0) AS size, message.files,
             snippet(search, -1, ${MARK.open}, ${MARK.close}, '…', ${SNIPPET_WORDS}) AS extract
      FROM search JOIN message ON message.id = search.rowid JOIN state ON state.id = search.rowid
      WHERE search MATCH ${query} AND search.rowid < ${before} AND (folder = 'trash') = ${Number(inTrash)}
      ORDER BY search.rowid DESC LIMIT ${Math.min(limit, MAX_LINES)}`;
  }

  /** How many messages a query finds, counted up to MAX_COUNTED + 1. */
  matches(query: string, inTrash: boolean): number {
    return this.#sql.one<{ n: number }>`
      SELECT count(*) AS n FROM (
        SELECT 1 FROM search JOIN state ON state.id = search.rowid
        WHERE search MATCH ${query} AND (folder = 'trash') = ${Number(inTrash)} LIMIT ${MAX_COUNTED + 1})`.n;
  }

  /** The messages that its folder, or with `query` a search, shows before and after a message. */
  neighbours(id: number, query?: string): Neighbours {
    const here = this.#sql.first<{ folder: Folder; pos: number }>`SELECT folder, pos FROM state WHERE id = ${id}`;
    if (here === undefined) return { newer: null, older: null };
    const { folder, pos } = here;
    if (query === undefined) {
      return this.#sql.one<Neighbours>`
        SELECT (SELECT id FROM state WHERE folder = ${folder} AND pos > ${pos} ORDER BY pos LIMIT 1) AS newer,
               (SELECT id FROM state WHERE folder = ${folder} AND pos < ${pos} ORDER BY pos DESC LIMIT 1) AS older`;
    }
    const trash = Number(folder === "trash");
    return this.#sql.one<Neighbours>`
      SELECT (SELECT search.rowid FROM search JOIN state ON state.id = search.rowid
              WHERE search MATCH ${query} AND search.rowid > ${id} AND (folder = 'trash') = ${trash}
              ORDER BY search.rowid LIMIT 1) AS newer,
             (SELECT search.rowid FROM search JOIN state ON state.id = search.rowid
              WHERE search MATCH ${query} AND search.rowid < ${id} AND (folder = 'trash') = ${trash}
              ORDER BY search.rowid DESC LIMIT 1) AS older`;
  }
}
