// Mail comes in over real SMTP: what is acknowledged is there, once, byte for byte; what cannot be is refused by name.

import { readFileSync } from "node:fs";
import path from "node:path";
import { FrondError } from "frond";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MailServer } from "../src/demo/server.ts";
import { smtpBytes } from "../src/demo/smtpClient.ts";
import { MAX_SEARCHED_TEXT, NotAMessage } from "../src/message.ts";
import { HIGHEST_MAX_BYTES, MAX_RECIPIENTS, MESSAGES_IN_MEMORY } from "../src/settings.ts";
import { replyTo } from "../src/smtp.ts";
import {
  connectMail,
  countOf,
  getPage,
  letter,
  rawOf,
  removeFolder,
  scratchFolder,
  startMail,
} from "./support/mail.ts";

const MAX_BYTES = 64 * 1024;

let folder: string;
let server: MailServer;

beforeAll(async () => {
  folder = await scratchFolder();
  server = await startMail(folder, { MAIL_DOMAINS: "example.org, example.net", MAIL_MAX_BYTES: String(MAX_BYTES) });
});

afterAll(async () => {
  await server?.stop();
  await removeFolder(folder);
});

async function send(recipients: string[], raw: Buffer, sender = "ann@example.org"): Promise<number> {
  const client = await connectMail(server);
  const { reply } = await client.send(sender, recipients, raw);
  client.close();
  return reply.code;
}

describe("a message", () => {
  test("reaches the mailbox of each recipient, whatever the case of the address", async () => {
    expect(await send(["One@Example.org", "two@example.NET", "ONE@example.org"], letter("to two"))).toBe(250);
    expect(await countOf(server, "one@example.org")).toBe(1);
    expect(await countOf(server, "two@example.net")).toBe(1);
    expect(await countOf(server, "One@Example.org")).toBe(0);
  });

  test("is kept byte for byte: dots, long lines, NUL, lone CR and LF, any bytes", async () => {
    const lines = [
      "Subject: bytes",
      "",
      ".",
      "..",
      ".x",
      "a".repeat(5000),
      "\0",
      "\r",
      "\u00ff\u00fe\u00ed\u00a0\u0080",
      "end",
    ];
    const raw = Buffer.from(lines.join("\n"), "latin1");
    expect(await send(["bytes@example.org"], raw)).toBe(250);
    expect((await rawOf(server, "bytes@example.org")).equals(smtpBytes(raw))).toBe(true);
    // The page shows what can be shown of it.
    expect((await getPage(server, "/mailbox/bytes%40example.org/1")).status).toBe(200);
  });

  test("does not end at a dot between bare line feeds, and smuggles no second message in", async () => {
    const client = await connectMail(server);
    await client.command("MAIL FROM:<ann@example.org>", 250);
    await client.command("RCPT TO:<smuggled@example.org>", 250);
    await client.command("DATA", 354);
    const text = "Subject: one\r\n\r\nbefore\n.\nMAIL FROM:<>\r\nRCPT TO:<x@example.org>\r\nDATA\n.\r\nafter\r\n";
    client.write(`${text}.\r\n`);
    expect((await client.read()).code).toBe(250);
    expect((await client.command("NOOP")).code).toBe(250);
    client.close();
    expect((await rawOf(server, "smuggled@example.org")).toString()).toBe(text);
    expect(await countOf(server, "smuggled@example.org")).toBe(1);
  });

  test("that is delivered again is not doubled, also with another sender and more recipients", async () => {
    const raw = letter("twice");
    expect(await send(["twice@example.org"], raw)).toBe(250);
    expect(await send(["twice@example.org", "new@example.org"], raw, "")).toBe(250);
    expect(await countOf(server, "twice@example.org")).toBe(1);
    expect(await countOf(server, "new@example.org")).toBe(1);
    expect(await send(["twice@example.org"], letter("twice", "Other\n"))).toBe(250);
    expect(await countOf(server, "twice@example.org")).toBe(2);
  });

  test("that arrives over many connections at once is not doubled", async () => {
    const raw = letter("at once");
    const codes = await Promise.all(Array.from({ length: 12 }, () => send(["race@example.org"], raw)));
    expect(codes).toEqual(codes.map(() => 250));
    expect(await countOf(server, "race@example.org")).toBe(1);
  });

  test("whose connection breaks before its end is not delivered", async () => {
    const client = await connectMail(server);
    await client.command("MAIL FROM:<ann@example.org>", 250);
    await client.command("RCPT TO:<broken@example.org>", 250);
    await client.command("DATA", 354);
    client.write("Subject: half\r\n\r\nfirst half\r\n");
    client.destroy();
    // Something that the server does after it saw the break.
    expect(await send(["after@example.org"], letter("after"))).toBe(250);
    expect(await countOf(server, "broken@example.org")).toBe(0);
    // Clients leave: nothing that an operator has to look after.
    const log = readFileSync(path.join(folder, "server.log"), "utf8");
    expect(log).toContain('"msg":"a mail client left in the middle of a message"');
    expect(log).not.toContain('"level":50');
  });
});

describe("refused", () => {
  test("too large by its own account: 552 before it is sent", async () => {
    const client = await connectMail(server);
    expect((await client.command(`MAIL FROM:<ann@example.org> SIZE=${MAX_BYTES + 1}`)).code).toBe(552);
    client.close();
  });

  test("too large in fact: 552, nothing stored, and the connection goes on", async () => {
    const client = await connectMail(server);
    const large = letter("large", "x".repeat(60).concat("\n").repeat(2000));
    expect((await client.send("ann@example.org", ["large@example.org"], large)).reply.code).toBe(552);
    expect((await client.send("ann@example.org", ["large@example.org"], letter("small"))).reply.code).toBe(250);
    client.close();
    expect(await countOf(server, "large@example.org")).toBe(1);
  });

  test.each([
    ["no header field", "just text\r\n"],
    ["nothing at all", ""],
    ["bytes that are no text", "\0\0\0\r\n"],
  ])("no message (%s): 554 and nothing stored", async (_what, text) => {
    expect(await send(["malformed@example.org"], Buffer.from(text))).toBe(554);
    expect(await countOf(server, "malformed@example.org")).toBe(0);
  });

  test("a recipient of another domain: 550, the others get it", async () => {
    const client = await connectMail(server);
    const { reply, refused } = await client.send("", ["a@elsewhere.example", "some@example.org"], letter("some"));
    client.close();
    expect(reply.code).toBe(250);
    expect(refused.map(({ recipient, reply: { code } }) => [recipient, code])).toEqual([["a@elsewhere.example", 550]]);
    expect(await countOf(server, "some@example.org")).toBe(1);
    expect(await countOf(server, "a@elsewhere.example")).toBe(0);
  });

  test("a recipient too many: 452 for it, the others get it", async () => {
    const recipients = Array.from({ length: MAX_RECIPIENTS + 1 }, (_, i) => `many-${i}@example.org`);
    const client = await connectMail(server);
    const { reply, refused } = await client.send("", recipients, letter("many"));
    client.close();
    expect(reply.code).toBe(250);
    expect(refused.map(({ recipient, reply: { code } }) => [recipient, code])).toEqual([[recipients.at(-1), 452]]);
    expect(await countOf(server, recipients.at(-2) as string)).toBe(1);
    expect(await countOf(server, recipients.at(-1) as string)).toBe(0);
  });

  test("more mail under way than memory is for: 452, and after it was dealt with 250", async () => {
    const clients = await Promise.all(Array.from({ length: MESSAGES_IN_MEMORY }, () => connectMail(server)));
    // Each sends all but the end of a message that fills its share.
    const share = letter("share", "y".repeat(70).concat("\r\n").repeat(900)).subarray(0, MAX_BYTES - 10);
    for (const [i, client] of clients.entries()) {
      await client.command("MAIL FROM:<>", 250);
      await client.command(`RCPT TO:<share-${i}@example.org>`, 250);
      await client.command("DATA", 354);
      client.write(share);
    }
    await expect.poll(() => send(["one-more@example.org"], letter("one more", "z".repeat(9000)))).toBe(452);
    for (const client of clients) {
      client.write("\r\n.\r\n");
      expect((await client.read()).code).toBe(250);
      client.close();
    }
    expect(await send(["one-more@example.org"], letter("one more", "z".repeat(9000)))).toBe(250);
    expect(await countOf(server, "one-more@example.org")).toBe(1);
    expect(await countOf(server, "share-0@example.org")).toBe(1);
  });

  test("bad syntax and bad order, each with its code", async () => {
    const client = await connectMail(server);
    const codes: Record<string, number> = {};
    for (const line of [
      "RCPT TO:<a@example.org>",
      "DATA",
      "MAIL FROM:<not an address>",
      "MAIL FROM:<a..b@example.org>",
      "MAIL FROM:<ann@example.org>",
      "RCPT TO:<>",
      "RCPT TO:<@>",
      `RCPT TO:<${"a".repeat(260)}@example.org>`,
      `RCPT TO:<${"\u00e9".repeat(200)}@example.org>`,
      "AUTH PLAIN AGEAYg==",
      "STARTTLS",
      "NONSENSE",
    ]) {
      codes[line.slice(0, 26)] = (await client.command(line)).code;
    }
    client.close();
    expect(codes).toMatchInlineSnapshot(`
      {
        "AUTH PLAIN AGEAYg==": 500,
        "DATA": 503,
        "MAIL FROM:<a..b@example.or": 501,
        "MAIL FROM:<ann@example.org": 250,
        "MAIL FROM:<not an address>": 501,
        "NONSENSE": 500,
        "RCPT TO:<>": 501,
        "RCPT TO:<@>": 501,
        "RCPT TO:<a@example.org>": 503,
        "RCPT TO:<aaaaaaaaaaaaaaaaa": 501,
        "RCPT TO:<ééééééééééééééééé": 553,
        "STARTTLS": 500,
      }
    `);
  });
});

test("the server states its bounds and offers no login", async () => {
  const client = await connectMail(server);
  const { text } = await client.command("EHLO test.example", 250);
  client.close();
  expect(text).toContain(`SIZE ${MAX_BYTES}`);
  expect(text).toContain("PIPELINING");
  expect(text).toContain("8BITMIME");
  expect(text).not.toContain("AUTH");
  expect(text).not.toContain("STARTTLS");
});

test.each([
  [new FrondError("OVERLOADED", "x"), 451],
  [new FrondError("DISK_FULL", "x"), 451],
  [new FrondError("RECORD_TOO_LARGE", "x"), 552],
  [new FrondError("BAD_VALUE", "x"), 451],
  [new NotAMessage("x"), 554],
  [new TypeError("x"), 451],
])("what went wrong with a message decides the reply: %s is %i", (error, code) => {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  expect(replyTo(error, log).responseCode).toBe(code);
});

test("the largest message there may be, with all words that search takes, fits a mailbox", async () => {
  const words: string[] = [];
  for (let i = 0, length = 0; length < MAX_SEARCHED_TEXT; i++) {
    const word = String.fromCodePoint(0x4e00 + (i % 20_000), 0x4e00 + Math.floor(i / 20_000), 0x61 + (i % 26));
    words.push(word);
    length += word.length + 1;
  }
  const text = Buffer.from(words.join(" ").replace(/(.{200})./g, "$1\n"));
  const file = Buffer.alloc(HIGHEST_MAX_BYTES, "y".repeat(70).concat("\r\n"));
  const head = [
    "Subject: large",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "",
    smtpBytes(text).toString("latin1"),
    "--b",
    "Content-Type: application/octet-stream",
    "",
    "",
  ].join("\r\n");
  const raw = Buffer.concat([Buffer.from(head, "latin1"), file]).subarray(0, HIGHEST_MAX_BYTES - 2);
  const other = await scratchFolder();
  const largeServer = await startMail(other, { MAIL_MAX_BYTES: String(HIGHEST_MAX_BYTES) });
  try {
    const client = await connectMail(largeServer);
    expect((await client.send("", ["large@example.org"], raw)).reply).toMatchObject({ code: 250 });
    client.close();
    expect((await rawOf(largeServer, "large@example.org")).length).toBe(smtpBytes(raw).length);
    const found = await getPage(
      largeServer,
      `/mailbox/large%40example.org?q=${encodeURIComponent(words[300_000] ?? words.at(-2) ?? "")}`,
    );
    expect(await found.text()).toContain("<mark>");
  } finally {
    await largeServer.stop();
    await removeFolder(other);
  }
});

test("postmaster has a mailbox without a domain", async () => {
  expect(await send(["postmaster"], letter("to the postmaster"))).toBe(250);
  expect(await countOf(server, "postmaster")).toBe(1);
});
