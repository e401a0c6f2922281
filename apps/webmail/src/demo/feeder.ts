// Sends the messages of a plan over several SMTP connections, each message until the server has it or refuses it.
//
// Rule: a name goes into the ledger only after the 250 of all its recipients. A message whose answer got lost is sent
// again; the mailboxes know it by its bytes. 4xx and broken connections are tried again a few times, 5xx never.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { corpusMessage } from "./corpus.ts";
import type { Plan } from "./plan.ts";
import { SmtpClient } from "./smtpClient.ts";

/** Connections that send at the same time: enough to keep the server's disk and one core busy. */
export const CONNECTIONS = 8;
/** Attempts at one message, and the pause after the first failed one, in ms, doubled each time. */
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;
/** Delivered messages between two writes of the ledger. */
const LEDGER_EVERY = 250;

/** The names of delivered messages, kept in a file, one per line. */
export class Ledger {
  readonly #file: string;
  readonly #names: Set<string>;
  #fresh: string[] = [];

  constructor(file: string) {
    this.#file = file;
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    // A line cut short by a crash names no message: it is delivered again, which changes nothing.
    this.#names = new Set(text.split("\n"));
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(name: string): void {
    this.#names.add(name);
    if (this.#fresh.push(name) >= LEDGER_EVERY) this.save();
  }

  /** Writes what is not in the file yet. */
  save(): void {
    if (this.#fresh.length > 0) appendFileSync(this.#file, `\n${this.#fresh.join("\n")}\n`);
    this.#fresh = [];
  }
}

/** A message that the server will not take. */
export interface Refusal {
  readonly name: string;
  readonly recipient: string;
  readonly answer: string;
}

/** How a feeding is going and where it goes. */
export interface Feeding {
  readonly host: string;
  readonly port: number;
  readonly ledger: Ledger;
  /** Called after each message that was dealt with. */
  readonly step: () => void;
  /** Ends the feeding early when aborted. */
  readonly signal: AbortSignal;
}

/** Delivers the messages named. Resolves to what was refused; rejects if a message fails too often. */
export async function feed(plan: Plan, names: readonly string[], feeding: Feeding): Promise<Refusal[]> {
  const queue = names.values();
  const refusals: Refusal[] = [];
  const lines = Array.from({ length: CONNECTIONS }, () => new Line(plan, feeding, refusals).run(queue));
  try {
    await Promise.all(lines);
  } finally {
    feeding.ledger.save();
  }
  return refusals;
}

/** One connection and the messages that go over it. */
class Line {
  readonly #plan: Plan;
  readonly #feeding: Feeding;
  readonly #refusals: Refusal[];
  #client: SmtpClient | undefined;

  constructor(plan: Plan, feeding: Feeding, refusals: Refusal[]) {
    this.#plan = plan;
    this.#feeding = feeding;
    this.#refusals = refusals;
  }

  async run(queue: Iterator<string> & Iterable<string>): Promise<void> {
    try {
      for (const name of queue) {
        this.#feeding.signal.throwIfAborted();
        await this.#deliver(name);
        this.#feeding.ledger.add(name);
        this.#feeding.step();
      }
    } finally {
      this.#client?.close();
    }
  }

  async #deliver(name: string): Promise<void> {
    const { sender, recipients } = this.#plan.envelopes.get(name) as { sender: string; recipients: readonly string[] };
    const raw = corpusMessage(name);
    let open = recipients;
    for (let attempt = 0; open.length > 0; attempt++) {
      try {
        const before = open.length;
        open = await this.#attempt(name, sender, open, raw);
        // A server that takes some recipients at a time makes progress: no reason to give up.
        if (open.length < before) attempt = 0;
        else throw new Error("the mail server puts the message off");
      } catch (error) {
        this.#client?.destroy();
        this.#client = undefined;
        if (attempt + 1 >= ATTEMPTS)
          throw new Error(`${name} cannot be delivered: ${(error as Error).message}`, { cause: error });
        await sleep(FIRST_PAUSE_MS * 2 ** attempt, undefined, { signal: this.#feeding.signal });
      }
    }
  }

  // The recipients that are still to be tried.
  async #attempt(name: string, sender: string, recipients: readonly string[], raw: Buffer): Promise<string[]> {
    this.#client ??= await SmtpClient.open(this.#feeding.host, this.#feeding.port);
    const { reply, accepted, refused } = await this.#client.send(sender, recipients, raw);
    const final = refused.filter((each) => each.reply.code >= 500);
    if (reply.code >= 500) final.push(...accepted.map((recipient) => ({ recipient, reply })));
    for (const each of final) {
      this.#refusals.push({ name, recipient: each.recipient, answer: `${each.reply.code} ${each.reply.text}` });
    }
    const delivered = reply.code === 250 ? accepted : [];
    const done = new Set([...delivered, ...final.map(({ recipient }) => recipient)]);
    return recipients.filter((recipient) => !done.has(recipient));
  }
}
