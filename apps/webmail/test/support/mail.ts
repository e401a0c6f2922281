// The mail app as the tests drive it: the real program in a process of its own, on free ports, in a fresh folder.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { freePort, type MailServer, startServer } from "../../src/demo/server.ts";
import { SmtpClient } from "../../src/demo/smtpClient.ts";
import { boxLink } from "../../src/links.ts";
import { Sessions } from "../../src/session.ts";

/** A folder that is gone after the tests. */
export async function scratchFolder(): Promise<string> {
  return await mkdtemp(path.join(tmpdir(), "frond-webmail-"));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Starts the app; `app` is another file for the same cells. */
export async function startMail(
  folder: string,
  environment: Record<string, string> = {},
  app?: string,
): Promise<MailServer> {
  const [port, smtpPort] = [await freePort(), await freePort()];
  return startServer({ folder, port, smtpPort, environment, ...(app !== undefined && { app }) });
}

/** A connection to the app's SMTP server. */
export function connectMail(server: MailServer): Promise<SmtpClient> {
  return SmtpClient.open(server.host, server.smtpPort);
}

const secrets = new Map<string, Promise<Uint8Array>>();

/** The cookie of somebody who opened a mailbox, also of one that the directory does not list (yet). */
export async function cookieFor(server: MailServer, mailbox: string): Promise<string> {
  let secret = secrets.get(server.dataDirectory);
  if (secret === undefined) secrets.set(server.dataDirectory, (secret = readSecret(server)));
  return new Sessions(await secret).open(mailbox, Date.now()).split(";", 1)[0] as string;
}

// As an operator could: the secret lies in a cell, which exists from the first request on.
async function readSecret(server: MailServer): Promise<Uint8Array> {
  await fetch(`http://${server.host}:${server.port}/`);
  const frond = path.join(
    path.dirname(createRequire(import.meta.url).resolve("frond/package.json")),
    "bin",
    "frond.js",
  );
  const query = ["sql", "keys/main", "SELECT hex(bytes) FROM secret", "--json", "--data", server.dataDirectory];
  const { stdout } = await promisify(execFile)(process.execPath, [frond, ...query]);
  const [[hex = ""] = []] = (JSON.parse(stdout) as { rows: string[][] }).rows;
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** A page of the app, as the owner of the mailbox that it belongs to sees it. */
export async function getPage(server: MailServer, target: string): Promise<Response> {
  const mailbox = /^\/mailbox\/([^/?]+)/.exec(target)?.[1];
  const headers = mailbox === undefined ? {} : { cookie: await cookieFor(server, decodeURIComponent(mailbox)) };
  return fetch(`http://${server.host}:${server.port}${target}`, { redirect: "manual", headers });
}

/** How many messages the inbox of a mailbox says it holds. */
export async function countOf(server: MailServer, mailbox: string): Promise<number> {
  const response = await getPage(server, boxLink(mailbox));
  const count = /<p class="under">([\d,]+) messages?/.exec(await response.text())?.[1];
  if (count === undefined) throw new Error(`the page of ${mailbox} states no number`);
  return Number(count.replaceAll(",", ""));
}

/** The bytes of a stored message. */
export async function rawOf(server: MailServer, mailbox: string, id = 1): Promise<Buffer> {
  const response = await getPage(server, boxLink(mailbox, id, "raw"));
  if (!response.ok) throw new Error(`${mailbox} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** A small message. */
export function letter(subject: string, text = "Hello\n"): Buffer {
  return Buffer.from(`From: Ann <ann@example.org>\nSubject: ${subject}\n\n${text}`);
}
