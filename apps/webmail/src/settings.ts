// What an operator can set, read from the environment once, at start.
//
// Rule: a value that makes no sense ends the start with a message that names the variable; nothing is guessed.

/** Largest message unless MAIL_MAX_BYTES says another, in bytes: an honest one is parsed in a quarter of a second. */
export const DEFAULT_MAX_BYTES = 10 * 1024 * 1024;
/** The most that MAIL_MAX_BYTES may say, in bytes. With its words a message must fit one commit (32 MiB). */
export const HIGHEST_MAX_BYTES = 20 * 1024 * 1024;
/** Most recipients of one message on one connection: as many as Postfix takes. Count. */
export const MAX_RECIPIENTS = 1000;
/** Longest address that an SMTP path can hold, in characters (in bytes where it becomes the name of a mailbox). */
export const MAX_ADDRESS_LENGTH = 253;
/** SMTP connections that are served at once. Count. */
export const MAX_CLIENTS = 100;
/** Messages of the largest size that may be between the network and their mailboxes; what is beyond hears 452. Count. */
export const MESSAGES_IN_MEMORY = 8;

/** The settings of the mail app. */
export interface Settings {
  /** SMTP_LISTEN: where mail comes in. Port 0 takes any free one. */
  readonly smtp: { readonly host: string; readonly port: number };
  /** MAIL_DOMAINS: the domains that have mailboxes here, in lower case; undefined: all of them. */
  readonly domains: ReadonlySet<string> | undefined;
  /** MAIL_MAX_BYTES: the largest message. */
  readonly maxBytes: number;
}

/** Reads the settings. Throws an error that names the variable and what it should be. */
export function readSettings(environment: Record<string, string | undefined>): Settings {
  return {
    smtp: listenAddress(environment["SMTP_LISTEN"] ?? "127.0.0.1:2525"),
    domains: domainSet(environment["MAIL_DOMAINS"] ?? "*"),
    maxBytes: byteCount(environment["MAIL_MAX_BYTES"]),
  };
}

function listenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(`SMTP_LISTEN is HOST:PORT, like 127.0.0.1:2525 or [::1]:2525, not ${JSON.stringify(text)}`);
  }
  return { host: (match[1] ?? match[2]) as string, port };
}

function domainSet(text: string): ReadonlySet<string> | undefined {
  const domains = text.split(",").map((domain) => domain.trim().toLowerCase());
  if (domains.includes("*")) return undefined;
  if (domains.some((domain) => !/^[^\s@*]+$/.test(domain))) {
    throw new Error(
      `MAIL_DOMAINS is a list like example.org,example.net, or * for all domains, not ${JSON.stringify(text)}`,
    );
  }
  return new Set(domains);
}

function byteCount(text: string | undefined): number {
  if (text === undefined) return DEFAULT_MAX_BYTES;
  const bytes = Number(text);
  if (!/^\d+$/.test(text) || bytes < 1024 || bytes > HIGHEST_MAX_BYTES) {
    throw new Error(`MAIL_MAX_BYTES is a number from 1024 to ${HIGHEST_MAX_BYTES}, not ${JSON.stringify(text)}`);
  }
  return bytes;
}
