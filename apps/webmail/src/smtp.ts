// Mail comes in: an SMTP server in front of the mailboxes.
//
// Rule: 250 after the message means that it is durable in all its mailboxes. Anything else leaves it with the sender:
// 4xx when trying again can help, 5xx when it cannot. It serves its own mailboxes and relays nothing.
//
//   RCPT to another domain 550 · recipient beyond MAX_RECIPIENTS 452 · larger than maxBytes 552 · no message 554
//   a mailbox cannot take it now 451 · too much mail under way 452 · bad syntax or order 501, 503 (smtp-server)

import type { AddressInfo } from "node:net";
import { FrondError, type ServiceLog } from "frond";
import { SMTPServer } from "smtp-server";
import { BrokenOff, Incoming, TooLarge, TooMuch } from "./incoming.ts";
import { NotAMessage } from "./message.ts";
import { MAX_ADDRESS_LENGTH, MAX_CLIENTS, MAX_RECIPIENTS, MESSAGES_IN_MEMORY, type Settings } from "./settings.ts";

/** Time that a stop gives to messages under way, in ms. */
const STOP_GRACE_MS = 5000;
/** Time after which a silent client is sent away, in ms: what RFC 5321 asks servers to grant. */
const CLIENT_TIMEOUT_MS = 5 * 60_000;

/** A running SMTP server. */
export interface MailDoor {
  /** Where it listens. */
  readonly host: string;
  readonly port: number;
  /** Takes no more connections, lets messages under way end, then closes. */
  stop(): Promise<void>;
}

/** Delivers a raw message to mailboxes; see delivery.ts. */
export type Deliver = (raw: Uint8Array, mailboxes: readonly string[]) => Promise<void>;

/** Opens the SMTP server. Rejects if the address cannot be listened on. */
export function openMailDoor(settings: Settings, deliver: Deliver, log: ServiceLog): Promise<MailDoor> {
  const incoming = new Incoming(settings.maxBytes, MESSAGES_IN_MEMORY * settings.maxBytes);
  const server = new SMTPServer({
    banner: "frond webmail",
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    size: settings.maxBytes,
    maxRecipients: MAX_RECIPIENTS,
    maxClients: MAX_CLIENTS,
    socketTimeout: CLIENT_TIMEOUT_MS,
    closeTimeout: STOP_GRACE_MS,
    onRcptTo: ({ address }, _session, done) => done(refusal(address, settings.domains)),
    onData: async (stream, session, done) => {
      const mailboxes = [...new Set(session.envelope.rcptTo.map(({ address }) => address.toLowerCase()))];
      try {
        await incoming.take(stream, (raw) => deliver(raw, mailboxes));
        done(null, `OK: in ${mailboxes.length} ${mailboxes.length === 1 ? "mailbox" : "mailboxes"}`);
      } catch (error) {
        done(replyTo(error, log));
      }
    },
  });
  return listen(server, settings, log);
}

function listen(server: SMTPServer, settings: Settings, log: ServiceLog): Promise<MailDoor> {
  const { host, port } = settings.smtp;
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new Error(`mail cannot come in at ${host}:${port}: ${error.message}`, { cause: error })),
    );
    const listener = server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", (error) => log.warn({ error: error.message }, "a mail client failed"));
      const bound = (listener.address() as AddressInfo).port;
      resolve({ host, port: bound, stop: () => new Promise((stopped) => server.close(() => stopped())) });
    });
  });
}

function refusal(address: string, domains: ReadonlySet<string> | undefined): Error | null {
  if (Buffer.byteLength(address) > MAX_ADDRESS_LENGTH) return reply(553, "The address is too long");
  const at = address.lastIndexOf("@");
  // `postmaster` without a domain is an address of every server (RFC 5321).
  if (at === -1 || domains === undefined || domains.has(address.slice(at + 1).toLowerCase())) return null;
  return reply(550, "There are no mailboxes of this domain here");
}

/** What the sender of a message hears when it was not delivered: an error that smtp-server turns into a reply. */
export function replyTo(error: unknown, log: ServiceLog): Error & { responseCode: number } {
  if (error instanceof TooLarge) return reply(552, `The message is too large: ${error.message}`);
  if (error instanceof TooMuch) return reply(452, "Too much mail under way, try again later");
  if (error instanceof NotAMessage) return reply(554, `Refused: ${error.message}`);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof BrokenOff) {
    // Nobody hears it: the connection is gone, and the message is still its sender's.
    log.info({ error: message }, "a mail client left in the middle of a message");
    return reply(451, "The message did not come in whole");
  }
  if (error instanceof FrondError && error.retryable) {
    log.warn({ code: error.code, error: message }, "a message was put off");
    return reply(451, "A mailbox cannot take the message now, try again later");
  }
  log.error({ error: message }, "a message could not be stored");
  if (error instanceof FrondError && error.code === "RECORD_TOO_LARGE")
    return reply(552, "The message is too large to be stored");
  // Not foreseen. The sender keeps the message and tries again, so that mending the server is enough.
  return reply(451, "The message could not be stored, try again later");
}

function reply(code: number, text: string): Error & { responseCode: number } {
  return Object.assign(new Error(text), { responseCode: code });
}
