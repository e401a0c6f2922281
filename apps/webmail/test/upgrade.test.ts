// A mailbox of before there were folders opens, and everything in it is in the inbox.

import { createHash } from "node:crypto";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MAILBOX_MIGRATIONS } from "../src/schema.ts";
import { connectMail, cookieFor, getPage, letter, removeFolder, scratchFolder, startMail } from "./support/mail.ts";

let folder: string;
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => removeFolder(folder));

test("a mailbox that was made before there were folders has its mail in the inbox, and takes more", async () => {
  const old = await startMail(folder, {}, path.join(import.meta.dirname, "support/oldMail.ts"));
  const before = await connectMail(old);
  for (const subject of ["one", "two", "three"]) await before.send("", ["ann@example.org"], letter(subject));
  before.close();
  await old.stop();

  const server = await startMail(folder);
  try {
    const list = async (target: string): Promise<string[]> => {
      const text = await (await getPage(server, `/mailbox/ann%40example.org${target}`)).text();
      return [...text.matchAll(/<span class="what"[^>]*>(?:<span class="chip">\w+<\/span>)?(\w+)/g)].map(
        (match) => match[1] as string,
      );
    };
    expect(await list("")).toEqual(["three", "two", "one"]);
    expect(await list("?q=one")).toEqual(["one"]);
    const client = await connectMail(server);
    for (const subject of ["two", "four"]) await client.send("", ["ann@example.org"], letter(subject));
    client.close();
    expect(await list("")).toEqual(["four", "three", "two", "one"]);
    const base = `http://${server.host}:${server.port}`;
    const moved = await fetch(`${base}/mailbox/ann%40example.org/act`, {
      method: "POST",
      headers: { origin: base, accept: "application/json", cookie: await cookieFor(server, "ann@example.org") },
      body: new URLSearchParams("do=archive&id=2&id=4"),
    });
    expect(await moved.json()).toMatchObject({ text: "2 messages archived." });
    expect([await list(""), await list("/archive")]).toEqual([
      ["three", "one"],
      ["four", "two"],
    ]);
    expect(await (await getPage(server, "/totals")).json()).toEqual({ mailboxes: 1, messages: 4 });
  } finally {
    await server.stop();
  }
});

test("what a migration says is never changed again", () => {
  const sums = MAILBOX_MIGRATIONS.map((sql) => createHash("sha256").update(sql.trim()).digest("hex").slice(0, 16));
  expect(sums).toEqual(["b1604914c748ac16", "601b9053aea342bb", "f0288ab7de754315"]);
});
