// The mail app as the tests drive it: the real program in a process of its own, on free ports, in a fresh folder.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePort, type MailServer, startServer } from "../../src/demo/server.ts";
import { SmtpClient } from "../../src/demo/smtpClient.ts";
import { boxLink } from "../../src/views.ts";

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

/** A page of the app. */
export function getPage(server: MailServer, target: string): Promise<Response> {
  return fetch(`http://${server.host}:${server.port}${target}`, { redirect: "manual" });
}

/** How many messages the page of a mailbox says it holds; 0 if it says that there is no such mailbox. */
export async function countOf(server: MailServer, mailbox: string): Promise<number> {
  const response = await getPage(server, boxLink(mailbox));
  if (response.status === 404) return 0;
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
