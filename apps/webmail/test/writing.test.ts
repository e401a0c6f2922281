// Writing: drafts that keep themselves, letters between mailboxes, answers, files.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { boxLink } from "../src/links.ts";
import { parseMail } from "../src/message.ts";
import { connectMail, getPage, rawOf } from "./support/mail.ts";
import { type Office, openOffice, subjects } from "./support/office.ts";

const ANN = "ann@example.org";
const BOB = "bob@example.org";
const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;

  beforeAll(async () => {
    office = await openOffice(chromium as string);
    for (const name of [ANN, BOB, "cy@example.org"]) await office.mail(name, "Hello");
  });
  afterAll(() => office?.close());

  const kept = (page: Page): Promise<void> => page.getByText("Kept in Drafts.").waitFor();
  const write = async (page: Page, to: string, subject: string, body: string): Promise<void> => {
    await page.getByLabel("To").fill(to);
    await page.getByLabel("Subject").fill(subject);
    await page.getByLabel("Text").fill(body);
  };
  const newest = async (name: string): Promise<number> => {
    const list = await (await getPage(office.server, boxLink(name))).text();
    return Number(/data-id="(\d+)"/.exec(list)?.[1]);
  };

  test("a letter arrives in the other mailbox as it was written, and stands in Sent", async () => {
    const page = await office.open(ANN);
    await page.getByRole("link", { name: "Compose" }).click();
    await page.waitForSelector("html[data-live] #compose");
    const body = "Dear B\u00f6b,\n\n> quoted\n.\n\u{1F33F} <b>bold</b>\n";
    // A name alone is somebody of one's own domain.
    await write(page, `Bob, "Cy" <CY@example.org>`, "Gr\u00fc\u00dfe \u{1F33F} " + "long ".repeat(30), body);
    await page.keyboard.press("Control+Enter");
    await page.waitForURL(`**${boxLink(ANN)}`);
    await page.getByText("Sent.", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Sent" }).click();
    await page.waitForURL("**/sent");
    expect(await page.locator(".who").allInnerTexts()).toEqual(["To: bob@example.org, cy@example.org"]);
    await page.context().close();
    for (const name of [BOB, "cy@example.org"]) {
      const mail = await parseMail(await rawOf(office.server, name, await newest(name)));
      expect(mail.sender).toBe(ANN);
      expect(mail.recipients).toBe("bob@example.org, cy@example.org");
      expect(mail.subject).toBe(("Gr\u00fc\u00dfe \u{1F33F} " + "long ".repeat(30)).trim());
      expect(mail.text.trimEnd()).toBe(body.trimEnd());
    }
  });

  test("a letter to somebody who is not here stays a draft, says why, and loses nothing", async () => {
    const page = await office.open(ANN, "/compose");
    await write(page, "bob, nobody@example.org", "Who?", "text");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("There is no mailbox nobody@example.org here.").waitFor();
    expect(await page.getByLabel("To").inputValue()).toBe("bob, nobody@example.org");
    await page.getByLabel("To").fill("");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("Who should get it?").waitFor();
    await page.getByLabel("To").fill("b\u00f6se, x y@z");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("These mailboxes are not here").waitFor();
    await page.getByRole("link", { name: "Drafts" }).click();
    await page.waitForURL("**/drafts");
    expect(await subjects(page)).toEqual(["Who?"]);
    await page.goto(boxLink(BOB));
    expect(await page.textContent("main")).not.toContain("Who?");
    await page.context().close();
  });

  test("what is typed is kept while it is typed, found again, and discarded", async () => {
    const page = await office.open("cy@example.org", "/compose");
    await page.getByLabel("Subject").pressSequentially("Half a tho");
    await kept(page);
    expect(page.url()).toMatch(/\/draft\/\d+$/);
    await page.getByLabel("Subject").pressSequentially("ught");
    await page.getByLabel("Text").fill("and more");
    // Left before it was kept: the page sends it on its way.
    await page.getByRole("link", { name: "Drafts" }).click();
    await page.waitForURL("**/drafts");
    await expect
      .poll(async () => {
        await page.reload();
        return subjects(page);
      })
      .toEqual(["Half a thought"]);
    expect(await page.locator(".places [data-place=drafts] .count").innerText()).toBe("1");
    await page.getByText("Half a thought").click();
    await page.waitForSelector("html[data-script] #compose");
    expect(await page.getByLabel("Text").inputValue()).toBe("and more");
    const address = page.url();
    await page.getByRole("button", { name: "Discard" }).click();
    await page.waitForURL(`**${boxLink("cy@example.org")}`);
    await page.goto(address);
    expect(await page.textContent("main")).toContain("It was sent or discarded.");
    await page.context().close();
  });

  test("a draft that was sent in another tab is not sent again", async () => {
    const page = await office.open(ANN, "/compose");
    await write(page, BOB, "Only once", "text");
    await kept(page);
    const other = await office.tab(page, page.url());
    await other.getByRole("button", { name: "Send" }).click();
    await other.waitForURL(`**${boxLink(ANN)}`);
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("This draft is gone").waitFor();
    const bob = await office.open(BOB);
    expect((await subjects(bob)).filter((each) => each === "Only once").length).toBe(1);
    await bob.context().close();
    await page.context().close();
  });

  test("an answer quotes, goes to whom it should, and belongs to its thread; to all goes to all but oneself", async () => {
    const ann = await office.open(ANN, "/compose");
    await ann.getByLabel("Cc").fill("cy@example.org");
    await write(ann, BOB, "Lunch?", "At noon?\n> older");
    await ann.getByRole("button", { name: "Send" }).click();
    await ann.waitForURL(`**${boxLink(ANN)}`);
    const id = await newest(BOB);
    const bob = await office.open(BOB, `/${id}`);
    await bob.keyboard.press("a");
    await bob.waitForSelector("html[data-script] #compose");
    expect(await bob.getByLabel("To").inputValue()).toBe(ANN);
    expect(await bob.getByLabel("Cc").inputValue()).toBe("cy@example.org");
    expect(await bob.getByLabel("Subject").inputValue()).toBe("Re: Lunch?");
    expect(await bob.getByLabel("Text").inputValue()).toMatch(
      /\n\nOn .* UTC, ann@example.org wrote:\n> At noon\?\n>> older$/,
    );
    await bob.keyboard.type("Yes!");
    await bob.keyboard.press("Control+Enter");
    await bob.waitForURL(`**${boxLink(BOB)}`);
    const answer = (await rawOf(office.server, ANN, await newest(ANN))).toString();
    const original = await parseMail(await rawOf(office.server, BOB, id));
    expect(original.messageId).toMatch(/^<.+@example\.org>$/);
    expect(answer).toContain(`In-Reply-To: ${original.messageId}\r\n`);
    expect(answer).toContain(`References: ${original.messageId}\r\n`);
    expect((await parseMail(Buffer.from(answer))).text).toMatch(/^Yes!\n/);
    await bob.context().close();
    await ann.context().close();
  });

  test("an answer to all two hundred goes to all two hundred", async () => {
    const crowd = Array.from({ length: 200 }, (_, i) => `somebody-${i}@department.example.org`);
    const client = await connectMail(office.server);
    const raw = `From: ${ANN}\nTo: ${crowd.join(",\n ")}\nSubject: To all\n\nHello\n`;
    await client.send(ANN, [BOB, ...crowd], Buffer.from(raw));
    client.close();
    const page = await office.open(BOB, `/${await newest(BOB)}`);
    await page.getByText("somebody-0@department.example.org and 199 others").click();
    await page.getByText("somebody-199@department.example.org").waitFor();
    await page.keyboard.press("a");
    await page.waitForSelector("html[data-script] #compose");
    expect((await page.getByLabel("Cc").inputValue()).split(", ")).toEqual(crowd);
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL(`**${boxLink(BOB)}`);
    for (const name of [ANN, crowd[0] as string, crowd[199] as string]) {
      const mail = await parseMail(await rawOf(office.server, name, await newest(name)));
      expect([name, mail.subject, mail.recipients]).toEqual([name, "Re: To all", [ANN, ...crowd].join(", ")]);
    }
    await page.context().close();
  });

  test("a file goes up, along and down again byte for byte; forwarded it goes along once more", async () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31 + (i >> 8)) & 255));
    const page = await office.open(ANN, "/compose");
    await write(page, BOB, "With a file", "see there");
    const name = '\u00fcbersicht "1".bin';
    await page.locator("#file").setInputFiles([
      { name, mimeType: "application/x-thing", buffer: bytes },
      { name: "empty.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) },
      { name: "wrong.txt", mimeType: "text/plain", buffer: Buffer.from("x") },
    ]);
    await page.locator("#files li").nth(2).waitFor();
    await page.getByRole("button", { name: "Take off wrong.txt" }).click();
    await expect
      .poll(() => page.locator("#files li a span:first-of-type").allInnerTexts())
      .toEqual([name, "empty.txt"]);
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL(`**${boxLink(ANN)}`);
    await page.context().close();

    const id = await newest(BOB);
    const bob = await office.open(BOB, `/${id}`);
    const [download] = await Promise.all([bob.waitForEvent("download"), bob.locator(".files a").first().click()]);
    expect(download.suggestedFilename()).toBe(name.replaceAll('"', "_"));
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    await bob.getByRole("link", { name: "Forward" }).click();
    await bob.locator("#files li").nth(1).waitFor();
    await bob.getByLabel("To").fill("cy@example.org");
    await bob.getByRole("button", { name: "Send" }).click();
    await bob.waitForURL(`**${boxLink(BOB)}`);
    const mail = await parseMail(await rawOf(office.server, "cy@example.org", await newest("cy@example.org")));
    expect(mail.subject).toBe("Fwd: With a file");
    expect(mail.text).toContain("---------- Forwarded message ----------\nFrom: ann@example.org");
    expect(mail.files.map((file) => file.name)).toEqual([name, "empty.txt"]);
    expect(Buffer.from(mail.files[0]?.bytes ?? []).equals(bytes)).toBe(true);
    await bob.context().close();
  });

  test("files beyond the bound are refused, by the page and by the server; up to it they go", async () => {
    const page = await office.open(ANN, "/compose");
    await write(page, BOB, "Large", "x");
    const choose = async (name: string, megabytes: number): Promise<void> => {
      const file = path.join(office.folder, name);
      await writeFile(file, Buffer.alloc(megabytes * 1024 * 1024, "frond "));
      await page.locator("#file").setInputFiles(file);
    };
    await choose("huge.bin", 8);
    await page.getByText("huge.bin is too large: the files of a message may have 7 MB together.").waitFor();
    await choose("one.bin", 6);
    await page.locator("#files li").waitFor();
    await choose("two.bin", 2);
    await page.getByText("with this one they would have 8 MB").waitFor();
    await choose("three.bin", 1);
    await page.locator("#files li").nth(1).waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL(`**${boxLink(ANN)}`);
    const mail = await parseMail(await rawOf(office.server, BOB, await newest(BOB)));
    expect(mail.files.map(({ name, bytes }) => [name, bytes.length / 1024 / 1024])).toEqual([
      ["one.bin", 6],
      ["three.bin", 1],
    ]);
    await page.context().close();
  });

  test("a letter to oneself is in Sent and in the inbox", async () => {
    const page = await office.open(ANN, "/compose");
    await write(page, "ann", "Note to self", "x");
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL(`**${boxLink(ANN)}`);
    await expect.poll(async () => (await subjects(page))[0]).toBe("Note to self");
    await page.goto(boxLink(ANN, "sent"));
    expect((await subjects(page))[0]).toBe("Note to self");
    await page.context().close();
  });

  test("without a line nothing that was typed is lost, and it is kept when the line is back", async () => {
    const page = await office.open(BOB, "/compose");
    await page.context().setOffline(true);
    await page.getByLabel("Subject").fill("Written on a train");
    await page.getByText("Not kept yet: the server cannot be reached.").waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("You are offline. Nothing was changed; try again.").waitFor();
    await page.context().setOffline(false);
    await kept(page);
    expect(await page.getByRole("alert").filter({ hasText: "You are offline." }).count()).toBe(0);
    await page.goto(boxLink(BOB, "drafts"));
    expect(await subjects(page)).toEqual(["Written on a train"]);
    await page.context().close();
  });
});
