// A message on its way into its mailboxes.
//
// Rule: a delivery resolves when the message is durable in every mailbox that was named and the directory durably lists
// them all. It may be called again with the same bytes after any failure, and nothing is doubled. Between mailboxes there
// is no transaction: some may have the message when another fails, and the sender's next attempt completes the rest.

import type { Get } from "frond";
import { DIRECTORY_NAME, Directory, type DirectoryEntry } from "./directory.ts";
import { Mailbox } from "./mailbox.ts";
import { storedMail } from "./message.ts";

/** Mailboxes that take one message at the same time, and the bytes that their copies of it may hold meanwhile. */
const MAX_MAILBOXES_AT_ONCE = 32;
const MAX_BYTES_AT_ONCE = 16 * 1024 * 1024;

/** Brings raw messages into mailboxes. */
export class Delivery {
  readonly #get: Get;
  readonly #notes: Notes;

  /** `get`'s answers must resolve only when they are durable, as those of an app's `start` do. */
  constructor(get: Get) {
    this.#get = get;
    this.#notes = new Notes((entries) => get(Directory, DIRECTORY_NAME).note(entries));
  }

  /** Delivers to all mailboxes. Throws NotAMessage, or what the first failing mailbox threw once all have been tried. */
  async deliver(raw: Uint8Array, mailboxes: readonly string[]): Promise<void> {
    const mail = await storedMail(raw);
    const entries: DirectoryEntry[] = [];
    const failures: unknown[] = [];
    const queue = mailboxes.values();
    const drain = async (): Promise<void> => {
      for (const name of queue) {
        try {
          const { messages } = await this.#get(Mailbox, name).deliver(mail);
          entries.push({ name, messages });
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const atOnce = Math.max(1, Math.min(MAX_MAILBOXES_AT_ONCE, Math.floor(MAX_BYTES_AT_ONCE / raw.length)));
    await Promise.all(Array.from({ length: atOnce }, drain));
    // Mailboxes that have it are listed even if another one failed.
    await this.#notes.add(entries);
    if (failures.length > 0) throw failures[0];
  }
}

/** Gathers the notes of messages that are under way together, so that the directory commits once for all of them. */
class Notes {
  readonly #send: (entries: DirectoryEntry[]) => Promise<void>;
  #waiting: DirectoryEntry[] = [];
  #next: Promise<void> | undefined;
  #current: Promise<void> = Promise.resolve();

  constructor(send: (entries: DirectoryEntry[]) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves when the entries are durable. */
  add(entries: readonly DirectoryEntry[]): Promise<void> {
    if (entries.length === 0) return Promise.resolve();
    this.#waiting.push(...entries);
    this.#next ??= this.#flush();
    return this.#next;
  }

  // One note at a time: what comes while one is under way goes with the next.
  async #flush(): Promise<void> {
    await this.#current.catch(() => undefined);
    const entries = this.#waiting;
    this.#waiting = [];
    this.#current = this.#next as Promise<void>;
    this.#next = undefined;
    await this.#send(entries);
  }
}
