// Mail comes in: an SMTP server in front of the mailboxes.
//
// Rule: 250 after the message means that it is durable in all its mailboxes. Anything else leaves it with the sender:
// 4xx when trying again can help, 5xx when it cannot. It serves its own mailboxes and relays nothing.
//
//   RCPT to another domain 550 · recipient beyond MAX_RECIPIENTS 452 · larger than maxBytes 552 · no message 554
//   a mailbox cannot take it now 451 · too much mail under way 452 · bad syntax or order 501, 503 (smtp-server)

import type { AddressInfo } from "node:net";
import { FrondError, type ServiceLog } from "frond";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { NotAMessage } from "./message.ts";
import { MAX_ADDRESS_LENGTH, MAX_BYTES_IN_WORK, MAX_CLIENTS, MAX_RECIPIENTS, type Settings } from "./settings.ts";

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
  let bytesInWork = 0;
  // Resolves to the words of the 250.
  async function take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const mailboxes = [...new Set(session.envelope.rcptTo.map(({ address }) => address.toLowerCase()))];
    const raw = await receive(stream, settings.maxBytes);
    // Too large: smtp-server answers 552 whatever is said here.
    if (raw === undefined) return "";
    if (bytesInWork + raw.length > MAX_BYTES_IN_WORK) throw reply(452, "Too much mail under way, try again later");
    bytesInWork += raw.length;
    try {
      await deliver(raw, mailboxes);
    } finally {
      bytesInWork -= raw.length;
    }
    return `OK: in ${mailboxes.length} ${mailboxes.length === 1 ? "mailbox" : "mailboxes"}`;
  }
  const server = new SMTPServer({
    banner: "frond webmail",
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    size: settings.maxBytes,
    rejectOversized: true,
    maxRecipients: MAX_RECIPIENTS,
    maxClients: MAX_CLIENTS,
    socketTimeout: CLIENT_TIMEOUT_MS,
    closeTimeout: STOP_GRACE_MS,
    onRcptTo: ({ address }, _session, done) => done(refusal(address, settings.domains)),
    onData: async (stream, session, done) => {
      try {
        done(null, await take(stream, session));
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

// The whole message, or undefined if it is larger than `limit`: the rest is then read and thrown away.
async function receive(stream: SMTPServerDataStream, limit: number): Promise<Uint8Array | undefined> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks = [];
  }
  if (length > limit) return undefined;
  // Memory of its own: a slice of a pool would be cloned with all its neighbours.
  const raw = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    raw.set(chunk, offset);
    offset += chunk.length;
  }
  return raw;
}

function replyTo(error: unknown, log: ServiceLog): Error {
  if (error instanceof Error && "responseCode" in error) return error;
  if (error instanceof NotAMessage) return reply(554, `Refused: ${error.message}`);
  const message = error instanceof Error ? error.message : String(error);
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

function reply(code: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode: code });
}
