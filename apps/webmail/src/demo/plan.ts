// What the demo is going to deliver: every message of the corpus with the envelope that the rule gives it.

import { corpusMessage, corpusNames } from "./corpus.ts";
import { envelopeOf, type Envelope } from "./recipients.ts";

/** The messages of a corpus and where they belong. */
export interface Plan {
  /** Envelopes by message name, in order of delivery; only messages that name somebody. */
  readonly envelopes: ReadonlyMap<string, Envelope>;
  /** Messages that name nobody. Count. */
  readonly nobody: number;
  /** How many messages each mailbox gets. */
  readonly mailboxes: ReadonlyMap<string, number>;
  /** Messages in all mailboxes together. */
  readonly copies: number;
}

/**
 * Reads the envelopes of the corpus, the last message first, at most `limit`, and of these one in `every`: its spam stands
 * at its end, and what arrives last is what a reader sees first.
 */
export function corpusPlan(limit = Number.POSITIVE_INFINITY, every = 1): Plan {
  const envelopes = new Map<string, Envelope>();
  const mailboxes = new Map<string, number>();
  let nobody = 0;
  let copies = 0;
  const chosen = corpusNames()
    .toReversed()
    .slice(0, limit)
    .filter((_, i) => i % every === 0);
  for (const name of chosen) {
    const envelope = envelopeOf(corpusMessage(name));
    if (envelope.recipients.length === 0) {
      nobody++;
      continue;
    }
    envelopes.set(name, envelope);
    for (const recipient of envelope.recipients) mailboxes.set(recipient, (mailboxes.get(recipient) ?? 0) + 1);
    copies += envelope.recipients.length;
  }
  return { envelopes, nobody, mailboxes, copies };
}
