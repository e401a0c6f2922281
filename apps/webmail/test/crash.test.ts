// kill -9 while a message is on its way into many mailboxes: whoever did not hear 250 sends again, and nothing is doubled.

import { afterEach, beforeEach, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import type { MailServer } from "../src/demo/server.ts";
import { connectMail, countOf, getPage, letter, removeFolder, scratchFolder, startMail } from "./support/mail.ts";

/** New mailboxes of one message: enough for a kill to fall between two of them. */
const MAILBOXES = 120;
/** Kills, at most; the test ends earlier when it has seen what it is about. */
const ROUNDS = 25;
/** Rounds in which some mailboxes had the message and others had not. */
const WANTED = 2;

let folder: string;
let server: MailServer;

beforeEach(async () => {
  folder = await scratchFolder();
  server = await startMail(folder);
});

afterEach(async () => {
  await server?.stop();
  await removeFolder(folder);
});

async function counts(names: readonly string[]): Promise<number[]> {
  return Promise.all(names.map((name) => countOf(server, name)));
}

test("killed between two mailboxes, retried: each mailbox has the message once, and the directory knows all", async () => {
  let between = 0;
  let round = 0;
  for (; round < ROUNDS && between < WANTED; round++) {
    const names = Array.from({ length: MAILBOXES }, (_, i) => `r${round}-${i}@example.org`);
    const raw = letter(`round ${round}`);
    const client = await connectMail(server);
    const sending = client.send("ann@example.org", names, raw).then(
      ({ reply }) => reply.code,
      () => "no answer",
    );
    // Later each round, then from the start again: the way into the mailboxes takes longer on a busy machine.
    await sleep(20 + ((round * 53) % 400));
    process.kill(server.pid, "SIGKILL");
    const answer = await sending;
    expect(await server.ended).toBe("SIGKILL");

    server = await startMail(folder);
    const had = (await counts(names)).filter((count) => count === 1).length;
    if (answer === 250) expect(had).toBe(MAILBOXES);
    if (had > 0 && had < MAILBOXES) between++;

    const again = await connectMail(server);
    expect((await again.send("ann@example.org", names, raw)).reply.code).toBe(250);
    again.close();
    expect(await counts(names)).toEqual(names.map(() => 1));
  }
  expect(between).toBe(WANTED);
  const total = round * MAILBOXES;
  expect(await (await getPage(server, "/totals")).json()).toEqual({ mailboxes: total, messages: total });
}, 240_000);
