// One mailbox: the messages of one address, in folders, searchable; its drafts, and what it sends. Its name is the address
// in lower case.
//
// Rule: a message is kept once, raw, byte for byte; beside it stand the decoded words that lists and search need. Files
// that came with a message are parts of the raw bytes and are taken out of them when asked for; large ones are cut out of
// them and kept as files of the cell (cuts.ts), from where they come back for who wants the whole. Delivering the same
// bytes again changes nothing and answers as if they had been new: whoever did not hear the first answer may try again.
// That holds after a message was erased, too: it does not come back.
// The open pages of a mailbox hear of every change and ask for what they show anew (client/live.js): there is no second
// form of what changed.
// Rejected: rows for HTML and files (each byte would be stored twice, and the log carries every byte), an FTS5 table with
// its own copy of the text (it reads the text of the message table), parsing here (a mail goes to many mailboxes).

import { createHash } from "node:crypto";
import { Cell, FrondError, WebSocketRequestResponsePair } from "frond";
import { type Cut, putBack, withoutCuts } from "./cuts.ts";
import { DIRECTORY_NAME, Directory, type DirectoryEntry } from "./directory.ts";
import { type Draft, type DraftFile, type DraftLine, Drafts, type DraftText } from "./drafts.ts";
import type { Counts, Folder } from "./folders.ts";
import { inventory, type Item, totals, type Totals } from "./inventory.ts";
import { Lists, type MailLine, type Neighbours } from "./lists.ts";
import { identityOf, type StoredMail } from "./message.ts";
import { MAILBOX_MIGRATIONS } from "./schema.ts";

/** A message as stored. */
export interface MailRow extends Omit<MailLine, "extract"> {
  /** Without what was cut out of it. */
  readonly raw: Uint8Array;
  readonly cuts: readonly Cut[];
}

/** What was cut out, and the file that it is now. */
type KeptCut = Cut & { readonly hash: string };

/** The answer to a delivery. */
export interface Delivered {
  /** 0 if the message was erased before. */
  readonly id: number;
  /** False if the mailbox had the message already. */
  readonly added: boolean;
  /** Messages that were ever delivered here. */
  readonly messages: number;
}

/** A message that was moved, and where it stood. */
export interface Moved {
  readonly id: number;
  readonly folder: Folder;
}

/** What the open pages of a mailbox are told over their WebSockets: that something changed, or that mail came. */
export type News =
  | { readonly what: "change" }
  | { readonly what: "mail"; readonly sender: string; readonly subject: string };

/** Messages that are erased by one call, at most: each rewrites pages of the search index. */
export const MAX_ERASED = 200;

/** When a letter that did not reach everybody is tried again, in ms. */
const CARRY_AGAIN_MS = 60_000;
/** What pages send to see whether the line still stands, and what they hear: without waking the cell. */
const PING = new WebSocketRequestResponsePair("ping", "pong");

const CHANGE: News = { what: "change" };

export class Mailbox extends Cell {
  // Mail is acknowledged to its sender, who then forgets it: never below disk, whatever the node's default is.
  static override durability = "disk" as const;
  static override migrations = MAILBOX_MIGRATIONS;

  /** Stores a message in the inbox, once. */
  deliver(mail: StoredMail): Delivered | Promise<Delivered> {
    const known = this.#known(mail);
    if (known !== undefined) return known;
    return mail.cuts.length === 0 ? this.#take(mail, []) : this.#cutAndTake(mail);
  }

  /** Messages that were ever delivered here. Count. */
  count(): number {
    return this.sql.one<{ n: number }>`SELECT arrived AS n FROM counter`.n;
  }

  /** How many messages stand in each folder, and how many drafts there are. */
  counts(): Counts {
    const folders = this.sql.all<{ name: Folder; messages: number; unread: number }>`SELECT * FROM folder`;
    const drafts = { messages: this.#drafts.count(), unread: 0 };
    const counts = folders.map(({ name, messages, unread }) => [name, { messages, unread }] as const);
    return { ...(Object.fromEntries(counts) as Record<Folder, { messages: number; unread: number }>), drafts };
  }

  /** How many there are of everything. */
  totals(): Totals {
    return totals((strings) => this.sql.one<Totals>(strings));
  }

  /** Everything that is here, to be compared with another state. */
  inventory(): Item[] {
    return inventory((strings) => this.sql.all<Item>(strings));
  }

  /** The last number that was given to anything. */
  lastNumber(): number {
    return this.sql.one<{ last: number }>`SELECT last FROM counter`.last;
  }

  /** After a restore: numbers that were given since the moment that came back are not given again. */
  goOnFrom(last: number): void {
    this.sql`UPDATE counter SET last = max(last, ${last})`;
    this.#tell(CHANGE);
  }

  /** Messages of a folder from the newest on, those before place `before` only. */
  list(before: number, limit: number, folder: Folder = "inbox"): MailLine[] {
    return this.#lists.folder(folder, before, limit);
  }

  /** Messages with a star, wherever they stand. */
  starred(before: number, limit: number): MailLine[] {
    return this.#lists.starred(before, limit);
  }

  /** Messages that a query finds (query.ts makes one from typed text), in the trash or everywhere else; before id `before`. */
  search(query: string, before: number, limit: number, inTrash = false): MailLine[] {
    return this.#lists.found(query, before, limit, inTrash);
  }

  /** How many messages a query finds, counted up to MAX_COUNTED + 1. */
  matches(query: string, inTrash = false): number {
    return this.#lists.matches(query, inTrash);
  }

  /** The messages that its folder, or with `query` a search, shows before and after a message. */
  neighbours(id: number, query?: string): Neighbours {
    return this.#lists.neighbours(id, query);
  }

  /** One message, or undefined if there is none of that number. */
  read(id: number): MailRow | undefined {
    const row = this.sql.first<Omit<MailRow, "cuts">>`
      SELECT id, pos, folder, unread, starred, due, sender, recipients, subject, sent, received,
             length(raw) + coalesce((SELECT sum(size) FROM cut WHERE cut.message = message.id), 0) AS size, files, raw
      FROM message JOIN state USING (id) WHERE id = ${id}`;
    return row && { ...row, cuts: this.#cuts(id) };
  }

  /** The bytes of a message as it came, or undefined if there is none of that number. */
  async whole(id: number): Promise<Uint8Array | undefined> {
    const row = this.sql.first<{ raw: Uint8Array }>`SELECT raw FROM message WHERE id = ${id}`;
    if (row === undefined) return undefined;
    const cuts = this.#cuts(id);
    const pieces: Uint8Array[] = [];
    for (const { hash } of cuts) {
      const file = await this.files.get(hash);
      // Erased meanwhile.
      if (file === undefined) return undefined;
      pieces.push(new Uint8Array(await file.arrayBuffer()));
    }
    return putBack(row.raw, cuts, pieces);
  }

  /** Marks messages as read or not. */
  setUnread(ids: readonly number[], unread: boolean): void {
    const { changes } = this.sql`
      UPDATE state SET unread = ${Number(unread)}
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)})) AND unread <> ${Number(unread)}`;
    if (changes > 0) this.#tell(CHANGE);
  }

  /** Gives messages a star, or takes it. */
  setStarred(ids: readonly number[], starred: boolean): void {
    this.sql`
      UPDATE state SET starred = ${Number(starred)}
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
    this.#tell(CHANGE);
  }

  /** Moves messages; those that stand elsewhere than in `folder`. A snoozed one that is moved sleeps no more. */
  move(ids: readonly number[], folder: Exclude<Folder, "snoozed">): Moved[] {
    const moved = this.#whereabouts(ids).filter((each) => each.folder !== folder);
    this.sql`
      UPDATE state SET folder = ${folder}, due = NULL
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(moved.map(({ id }) => id))}))`;
    this.#tell(CHANGE);
    return moved;
  }

  /** Puts messages aside until `due` (ms since 1970): then they come back to the inbox, unread and on top. */
  snooze(ids: readonly number[], due: number): Moved[] {
    const moved = this.#whereabouts(ids);
    this.sql`
      UPDATE state SET folder = 'snoozed', due = ${due}
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
    this.schedule(due, "_comeBack");
    this.#tell(CHANGE);
    return moved;
  }

  /** Brings back what is due. One call is scheduled for each time that somebody chose; a message moved meanwhile is not due. */
  _comeBack(): void {
    const due = this.sql.all<{ id: number }>`
      SELECT id FROM state WHERE folder = 'snoozed' AND due <= ${Date.now()} ORDER BY due, pos`;
    for (const { id } of due) {
      const pos = this.#number();
      this.sql`UPDATE state SET folder = 'inbox', due = NULL, unread = 1, pos = ${pos} WHERE id = ${id}`;
    }
    if (due.length > 0) this.#tell(CHANGE);
  }

  /** Erases messages that stand in the trash, for good; all of them without `ids`. At most MAX_ERASED; returns how many. */
  erase(ids?: readonly number[]): number {
    const wanted = ids === undefined ? null : JSON.stringify(ids);
    const gone = this.sql.all<{ id: number }>`
      SELECT id FROM state WHERE folder = 'trash'
      AND (${wanted} IS NULL OR id IN (SELECT value FROM json_each(${wanted ?? "[]"}))) LIMIT ${MAX_ERASED}`;
    for (const { id } of gone) {
      this.sql`INSERT OR IGNORE INTO forgotten SELECT identity FROM message WHERE id = ${id}`;
      this.sql`
        INSERT INTO search (search, rowid, subject, sender, recipients, files, body)
        SELECT 'delete', id, subject, sender, recipients, files, body FROM message WHERE id = ${id}`;
      for (const { hash } of this.#cuts(id)) this.files.delete(hash);
      this.sql`DELETE FROM cut WHERE message = ${id}`;
      this.sql`DELETE FROM message WHERE id = ${id}`;
      this.sql`DELETE FROM state WHERE id = ${id}`;
      this.sql`DELETE FROM outgoing WHERE message = ${id}`;
    }
    if (gone.length > 0) this.#tell(CHANGE);
    return gone.length;
  }

  /** All drafts, the one changed last first. */
  drafts(): DraftLine[] {
    return this.#drafts.list();
  }

  /** A draft with the names of its files, or undefined. */
  draft(id: number): Draft | undefined {
    return this.#drafts.read(id);
  }

  /** Begins a draft; `files` of a forwarded message go with it as far as a draft takes them. Returns its number. */
  beginDraft(text: DraftText, answers: string, thread: string, files: readonly DraftFile[]): number {
    const id = this.#number();
    this.#drafts.begin(id, text, answers, thread);
    for (const file of files) this.#drafts.addFile(this.#number(), id, file);
    this.#tell(CHANGE);
    return id;
  }

  /** Keeps a draft as it is now. False if it is gone: sent or discarded elsewhere. */
  saveDraft(id: number, text: DraftText): boolean {
    return this.#drafts.save(id, text);
  }

  /** Throws a draft away. False if it was gone. */
  discardDraft(id: number): boolean {
    const gone = this.#drafts.discard(id);
    if (gone) this.#tell(CHANGE);
    return gone;
  }

  /** Adds a file to a draft. Returns its number, or in words why it cannot be added. */
  attach(draft: number, file: DraftFile): number | string {
    const id = this.#number();
    return this.#drafts.addFile(id, draft, file) ?? id;
  }

  /** Takes a file off a draft. */
  detach(draft: number, file: number): void {
    this.#drafts.removeFile(draft, file);
  }

  /** A file of a draft; all of them without a number. */
  draftFiles(draft: number, file?: number): DraftFile[] {
    return this.#drafts.files(draft, file);
  }

  /**
   * Turns a draft into a message that is sent: from then on it stands in Sent, and what is still to be brought to
   * `recipients` is noted with it. False if the draft is gone, or was changed after `changed`. Call `carry` next.
   */
  async post(draft: number, changed: number, mail: StoredMail, recipients: readonly string[]): Promise<boolean> {
    if (this.#drafts.read(draft)?.changed !== changed) return false;
    // A letter to oneself arrives as well: the sent one is known by other bytes.
    const identity = new Uint8Array(createHash("sha256").update("sent").update(mail.identity).digest());
    const posted = await this.#cutAnd(mail, (cuts) => {
      if (this.#drafts.read(draft)?.changed !== changed) return undefined;
      this.#drafts.discard(draft);
      const id = this.#store(mail, cuts, identity, "sent", 0);
      for (const recipient of recipients) this.sql`INSERT OR IGNORE INTO outgoing VALUES (${id}, ${recipient})`;
      // Whoever posts carries at once; this is for a process that ends in between.
      this.schedule({ afterMs: CARRY_AGAIN_MS }, "carry");
      this.#tell(CHANGE);
      return true;
    });
    return posted ?? false;
  }

  /** Brings what was posted to its recipients. Returns how many were not reached; calling again tries these again. */
  async carry(): Promise<number> {
    const reached: DirectoryEntry[] = [];
    let missed = 0;
    for (const { message, recipient } of this.sql.all<{ message: number; recipient: string }>`SELECT * FROM outgoing`) {
      try {
        const mail = await this.#letter(message);
        if (mail === undefined) continue;
        const { messages } = await (recipient === this.name ? this : this.get(Mailbox, recipient)).deliver(mail);
        reached.push({ name: recipient, messages });
        this.sql`DELETE FROM outgoing WHERE message = ${message} AND recipient = ${recipient}`;
      } catch (error) {
        if (!(error instanceof FrondError)) throw error;
        missed++;
      }
    }
    if (reached.length > 0) await this.get(Directory, DIRECTORY_NAME).note(reached);
    if (missed > 0) this.schedule({ afterMs: CARRY_AGAIN_MS }, "carry");
    return missed;
  }

  /** Recipients whom a sent message has not reached yet. */
  waiting(id: number): string[] {
    return this.sql.all<{ recipient: string }>`SELECT recipient FROM outgoing WHERE message = ${id}`.map(
      ({ recipient }) => recipient,
    );
  }

  /** Opens the line over which a page hears of changes. The front door has checked that it is a page of the owner's. */
  override fetch(request: Request): Response {
    this.ctx.setWebSocketAutoResponse(PING);
    return this.accept(request);
  }

  // Leaves when the verb has committed, and not if it is rolled back.
  #tell(news: News): void {
    const text = JSON.stringify(news);
    for (const socket of this.ctx.getWebSockets()) if (socket.readyState === 1) socket.send(text);
  }

  get #lists(): Lists {
    return new Lists(this.sql);
  }

  get #drafts(): Drafts {
    return new Drafts(this.sql);
  }

  #known({ identity }: StoredMail): Delivered | undefined {
    const known =
      this.sql.first<{ id: number }>`SELECT id FROM message WHERE identity = ${identity}` ??
      this.sql.first<{ id: number }>`SELECT 0 AS id FROM forgotten WHERE identity = ${identity}`;
    return known && { id: known.id, added: false, messages: this.count() };
  }

  #take(mail: StoredMail, cuts: readonly KeptCut[]): Delivered {
    const id = this.#store(mail, cuts, mail.identity, "inbox", 1);
    this.sql`UPDATE counter SET arrived = arrived + 1`;
    this.#tell({ what: "mail", sender: mail.sender, subject: mail.subject });
    return { id, added: true, messages: this.count() };
  }

  async #cutAndTake(mail: StoredMail): Promise<Delivered> {
    const taken = await this.#cutAnd(mail, (cuts) =>
      this.#known(mail) === undefined ? this.#take(mail, cuts) : undefined,
    );
    // Delivered a second time while the files of the first were on their way.
    return taken ?? (this.#known(mail) as Delivered);
  }

  /**
   * Keeps what is to be cut out of a message as files, then runs `store` as one transaction. The files are let go again when
   * it gives undefined, or fails.
   */
  async #cutAnd<T>(mail: StoredMail, store: (cuts: readonly KeptCut[]) => T | undefined): Promise<T | undefined> {
    const cuts: KeptCut[] = [];
    let stored: T | undefined;
    try {
      for (const cut of mail.cuts) {
        const { hash } = await this.files.put(mail.raw.subarray(cut.at, cut.at + cut.size));
        cuts.push({ ...cut, hash });
      }
      stored = this.transaction(() => store(cuts));
      return stored;
    } finally {
      if (stored === undefined) for (const { hash } of cuts) this.files.delete(hash);
    }
  }

  #cuts(id: number): KeptCut[] {
    return this.sql.all<KeptCut>`SELECT at, size, file, bytes, hash FROM cut WHERE message = ${id} ORDER BY at`;
  }

  // Undefined: erased meanwhile.
  async #letter(id: number): Promise<StoredMail | undefined> {
    const row = this.sql.first<Omit<StoredMail, "identity" | "raw" | "cuts">>`
      SELECT sender, recipients, subject, sent, body, files FROM message WHERE id = ${id}`;
    const cuts = this.#cuts(id).map(({ at, size, file, bytes }) => ({ at, size, file, bytes }));
    const raw = await this.whole(id);
    return row && raw && { ...row, raw, cuts, identity: identityOf(raw) };
  }

  #whereabouts(ids: readonly number[]): Moved[] {
    return this.sql.all<Moved>`
      SELECT id, folder FROM state WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;
  }

  #store(mail: StoredMail, cuts: readonly KeptCut[], identity: Uint8Array, folder: Folder, unread: 0 | 1): number {
    const id = this.#number();
    this.sql`
      INSERT INTO message (id, identity, received, sent, sender, recipients, subject, files, body, raw)
      VALUES (${id}, ${identity}, ${Date.now()}, ${mail.sent}, ${mail.sender}, ${mail.recipients}, ${mail.subject},
              ${mail.files}, ${mail.body}, ${withoutCuts(mail.raw, cuts)})`;
    for (const { at, size, file, bytes, hash } of cuts)
      this
        .sql`INSERT INTO cut (message, at, size, file, bytes, hash) VALUES (${id}, ${at}, ${size}, ${file}, ${bytes}, ${hash})`;
    this.sql`
      INSERT INTO search (rowid, subject, sender, recipients, files, body)
      VALUES (${id}, ${mail.subject}, ${mail.sender}, ${mail.recipients}, ${mail.files}, ${mail.body})`;
    this.sql`INSERT INTO state VALUES (${id}, ${folder}, ${id}, ${unread}, 0, NULL)`;
    return id;
  }

  #number(): number {
    return this.sql.one<{ last: number }>`UPDATE counter SET last = last + 1 RETURNING last`.last;
  }
}
