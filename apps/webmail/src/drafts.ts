// The drafts of a mailbox: what is being written, with its files.
//
// Rule: a draft is kept as it was typed, address lists and all; only sending asks whether it makes sense. It belongs to
// the cell of its mailbox (mailbox.ts), whose verbs call this.

import type { Sql } from "frond";

/** What is typed into a draft. */
export interface DraftText {
  readonly recipients: string;
  readonly copies: string;
  readonly subject: string;
  readonly body: string;
}

/** What the list of drafts shows. */
export interface DraftLine extends DraftText {
  readonly id: number;
  /** When it was last kept, in ms since 1970. */
  readonly changed: number;
  /** Names of the files, one per line. */
  readonly files: string;
}

/** A whole draft, without the bytes of its files. */
export interface Draft extends DraftText {
  readonly id: number;
  readonly changed: number;
  /** Message-ID that it answers, and those of the whole exchange; empty for a new letter. */
  readonly answers: string;
  readonly thread: string;
  readonly files: readonly { readonly id: number; readonly name: string; readonly size: number }[];
}

/** A file of a draft. */
export interface DraftFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Longest text of a draft, its longest subject, and each of its lists of addresses, in characters. */
export const MAX_DRAFT_BODY = 512 * 1024;
export const MAX_DRAFT_LINE = 4096;
export const MAX_DRAFT_ADDRESSES = 64 * 1024;
/** All files of a draft together, in bytes: encoded for mail they are a third larger, and fit the largest message. */
export const MAX_FILE_BYTES = 7 * 1024 * 1024;
/** Files of a draft. Count. */
export const MAX_FILES = 20;
/** Drafts of the list. Count. */
const MAX_DRAFTS = 200;
const EXTRACT_LENGTH = 160;

/** Statements on drafts, for the verbs of a mailbox. */
export class Drafts {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  count(): number {
    return this.#sql.one<{ n: number }>`SELECT count(*) AS n FROM draft`.n;
  }

  list(): DraftLine[] {
    return this.#sql.all<DraftLine>`
      SELECT id, changed, substr(recipients, 1, ${EXTRACT_LENGTH}) AS recipients,
             substr(copies, 1, ${EXTRACT_LENGTH}) AS copies, subject, substr(body, 1, ${EXTRACT_LENGTH}) AS body,
             coalesce((SELECT group_concat(name, char(10)) FROM draft_file WHERE draft = draft.id), '') AS files
      FROM draft ORDER BY changed DESC, id DESC LIMIT ${MAX_DRAFTS}`;
  }

  read(id: number): Draft | undefined {
    const draft = this.#sql.first<Omit<Draft, "files">>`
      SELECT id, changed, recipients, copies, subject, body, answers, thread FROM draft WHERE id = ${id}`;
    const files = this.#sql.all<Draft["files"][number]>`
      SELECT id, name, length(bytes) AS size FROM draft_file WHERE draft = ${id} ORDER BY id`;
    return draft && { ...draft, files };
  }

  begin(id: number, text: DraftText, answers: string, thread: string): void {
    this.#sql`
      INSERT INTO draft (id, changed, recipients, copies, subject, body, answers, thread)
      VALUES (${id}, ${Date.now()}, ${text.recipients}, ${text.copies}, ${text.subject}, ${text.body}, ${answers}, ${thread})`;
  }

  save(id: number, { recipients, copies, subject, body }: DraftText): boolean {
    const { changes } = this.#sql`
      UPDATE draft SET changed = ${Date.now()}, recipients = ${recipients}, copies = ${copies}, subject = ${subject},
                       body = ${body}
      WHERE id = ${id}`;
    return changes > 0;
  }

  /** Adds a file under the number `id`; returns why not if it cannot. */
  addFile(id: number, draft: number, { name, type, bytes }: DraftFile): string | undefined {
    const there = this.read(draft);
    if (there === undefined) return "This draft is gone: it was sent or discarded elsewhere.";
    const refusal = tooMuch([...there.files.map(({ size }) => size), bytes.length]);
    if (refusal === undefined) this.#sql`INSERT INTO draft_file VALUES (${id}, ${draft}, ${name}, ${type}, ${bytes})`;
    return refusal;
  }

  removeFile(draft: number, file: number): void {
    this.#sql`DELETE FROM draft_file WHERE id = ${file} AND draft = ${draft}`;
  }

  /** Throws a draft away with its files. False if there was none. */
  discard(id: number): boolean {
    this.#sql`DELETE FROM draft_file WHERE draft = ${id}`;
    return this.#sql`DELETE FROM draft WHERE id = ${id}`.changes > 0;
  }

  files(draft: number, file?: number): DraftFile[] {
    return this.#sql.all<DraftFile>`
      SELECT name, type, bytes FROM draft_file WHERE draft = ${draft} AND id = coalesce(${file ?? null}, id) ORDER BY id`;
  }
}

/** Why files of these sizes (in bytes) are too much for one draft; undefined if they are not. */
export function tooMuch(sizes: readonly number[]): string | undefined {
  const all = sizes.reduce((sum, size) => sum + size, 0);
  if (all > MAX_FILE_BYTES) {
    return `The files of a message may have ${inMegabytes(MAX_FILE_BYTES)} together; with this one they would have ${inMegabytes(all)}.`;
  }
  return sizes.length > MAX_FILES ? `A message takes ${MAX_FILES} files; take one off first.` : undefined;
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1).replace(/\.0$/, "")} MB`;
}
