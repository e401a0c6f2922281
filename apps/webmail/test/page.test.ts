// The pages in a real browser: pick, list, read, search; and what a hostile message can do there, which is nothing.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { HOSTILE } from "./support/letters.ts";
import { connectMail, letter } from "./support/mail.ts";
import { type Office, openOffice, subjects } from "./support/office.ts";

/** More than one page of a list. */
const MESSAGES = 55;
const READER = "mb/reader@example.org";
const BOX = "/mailbox/mb%2Freader%40example.org";

const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;

  beforeAll(async () => {
    office = await openOffice(chromium as string);
    const client = await connectMail(office.server);
    for (let i = 1; i <= MESSAGES; i++) {
      const text = i === 7 ? "A caf\u00e9 with a needle in the <i>haystack</i> & more" : `Number ${i}\n`;
      await client.send("ann@example.org", [READER], letter(`Letter ${i}`, text));
    }
    await client.send("", ["hostile@example.org"], Buffer.from(HOSTILE));
    await client.send(
      "",
      ["plain@example.org"],
      letter("wide", `${"x".repeat(400)}\n<b>not bold</b>\n> old\nhttp://outside.example/a.\n`),
    );
    const many = Array.from({ length: 70 }, (_, i) => `zz-${String(i).padStart(2, "0")}@example.org`);
    await client.send("", many, letter("many"));
    client.close();
  });

  afterAll(() => office?.close());

  async function stranger(place: string): Promise<Page> {
    const context = await office.trapped.browser.newContext({ baseURL: office.base });
    const page = await context.newPage();
    await page.goto(place);
    await page.waitForSelector("html[data-script]");
    return page;
  }

  test("a mailbox is picked, listed newest first, paged, read", async () => {
    const page = await stranger("/");
    expect(await page.textContent("main")).toContain("73 mailboxes, 127 messages");
    expect(await page.textContent("main")).toContain("There are no passwords");
    await page.getByRole("searchbox").fill("MB/");
    await page.getByText("1 of 73 mailboxes matches").waitFor();
    expect(await page.locator(".rows .name").allInnerTexts()).toEqual([READER]);
    await page.getByText(READER).click();

    await page.getByText("55 messages, 55 unread").waitFor();
    expect((await subjects(page)).length).toBe(50);
    expect((await subjects(page))[0]).toBe("Letter 55");
    await page.getByRole("link", { name: "Older" }).click();
    await page.waitForURL(/before=/);
    expect(await subjects(page)).toEqual(["Letter 5", "Letter 4", "Letter 3", "Letter 2", "Letter 1"]);
    expect(await page.getByRole("link", { name: "Older" }).count()).toBe(0);
    await page.getByText("Letter 3").click();
    await page.waitForSelector(".reading");
    expect(await page.textContent("h1")).toContain("Letter 3");
    expect(await page.textContent(".text")).toContain("Number 3");
    await page.getByRole("link", { name: "Newer" }).click();
    await page.waitForURL(`**${BOX}/4`);
    await page.goto(`${BOX}/55`);
    expect(await page.locator(".beside a").count()).toBe(1);
    await page.getByRole("link", { name: "Back to the list" }).click();
    await page.waitForSelector("#list");
    expect((await subjects(page))[0]).toBe("Letter 55");
    await page.context().close();
  });

  test("mailboxes that begin alike are listed by name, page after page", async () => {
    const page = await stranger("/?q=ZZ-");
    expect(await page.locator(".under").innerText()).toBe("70 of 73 mailboxes match, with 70 messages; by name.");
    const names = (): Promise<string[]> => page.locator(".rows .name").allInnerTexts();
    const first = await names();
    await page.getByRole("link", { name: "More mailboxes" }).click();
    await page.waitForURL(/after=/);
    const second = await names();
    expect([first.length, first[0], second.length, second[0]]).toEqual([
      60,
      "zz-00@example.org",
      10,
      "zz-60@example.org",
    ]);
    await page.goto("/?q=nobody@example");
    expect(await page.textContent(".blank")).toContain("No mailbox begins like that");
    await page.context().close();
  });

  test("somebody makes a mailbox with a name alone, and is welcomed", async () => {
    const page = await stranger("/?q=Newcomer");
    await page.getByRole("button", { name: "Make newcomer@demo.example and open it" }).click();
    await page.waitForURL("**/mailbox/newcomer%40demo.example");
    expect(await subjects(page)).toEqual(["Welcome to frond mail"]);
    await page.goto("/");
    expect(await page.textContent(".still")).toContain("newcomer@demo.example");
    await page.context().close();
  });

  test("what one types is searched for at once, also unfinished words, and marked", async () => {
    const page = await office.open(READER);
    await page.keyboard.press("/");
    await page.keyboard.type("NEED");
    await page.getByText("1 found").waitFor();
    expect(await subjects(page)).toEqual(["Letter 7"]);
    expect(await page.locator("mark").allInnerTexts()).toEqual(["needle"]);
    // What was typed until just now may have been found first.
    await page.waitForURL(/q=NEED/);
    await page.keyboard.type("LE cafe");
    await page.locator("mark", { hasText: "caf\u00e9" }).waitFor();
    expect(await page.locator(".extract").innerText()).toContain("needle in the <i>haystack</i> & more");
    const search = async (typed: string, answer: string): Promise<string[]> => {
      await page.getByRole("searchbox").fill(typed);
      await page.getByText(answer).first().waitFor();
      return subjects(page);
    };
    expect(await search('"in needle"', "No message has all of these words")).toEqual([]);
    expect(await search('"needle in"', "1 found")).toEqual(["Letter 7"]);
    expect(await search("need ", "No message has all of these words")).toEqual([]);
    expect(await search("--", "There is no word in that search")).toEqual([]);
    expect(await search("", "messages, ")).toContain("Letter 55");
    // The whole search was one step.
    await search("needle", "1 found");
    await page.goBack();
    await page.getByText("55 messages").waitFor();
    expect(await page.getByRole("searchbox").inputValue()).toBe("");
    await page.context().close();
  });

  test("what a search found is counted and walked through, to the last match", async () => {
    const page = await office.open(READER, "?q=number");
    expect(await page.locator(".under").innerText()).toContain("54 found");
    await page.getByText("Letter 6", { exact: true }).click();
    await page.getByRole("link", { name: "Newer match" }).click();
    await page.waitForURL(`**${BOX}/8?q=number`);
    await page.getByRole("link", { name: "Older match" }).click();
    await page.waitForURL(`**${BOX}/6?q=number`);
    await page.getByRole("link", { name: "Back to the list" }).click();
    await page.waitForURL(`**${BOX}?q=number`);
    expect(await page.getByRole("searchbox").inputValue()).toBe("number");
    await page.goto(`${BOX}?q=number&before=1`);
    expect(await page.textContent(".blank")).toContain("No older messages");
    await page.context().close();
  });

  test("a hostile message is text and colours; nothing of it runs and nothing leaves", async () => {
    const page = await office.open("hostile@example.org", "?q=needle");
    const dialogs: string[] = [];
    page.context().on("dialog", (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    expect(await page.locator(".who").innerText()).toContain("<img src=x onerror=alert(1)>");
    await page.locator(".rows a").click();
    await page.waitForSelector(".reading");
    expect(await page.textContent("h1")).toContain("<script>alert('subject')</script> needle");
    const frame = page.frameLocator("iframe");
    expect(await frame.locator("p").innerText()).toBe("Dear reader");
    expect(await frame.locator("p").evaluate((p) => p.style.cssText)).toBe("color: red;");
    expect(
      await frame.locator("script, style, link, meta[http-equiv], iframe, object, form, input, svg, [onload]").count(),
    ).toBe(
      1, // The frame's own style.
    );
    expect(await frame.getByText("run").getAttribute("href")).toBeNull();
    expect(await page.textContent(".notice")).toMatch(
      /Remote content is blocked: this message wanted to load \d+ things/,
    );
    await page.waitForLoadState("networkidle");

    // A click of the reader opens a page, and the trap is one: what leaves is seen.
    const visit = await Promise.all([page.context().waitForEvent("page"), frame.getByText("visit").click()]);
    await visit[0].waitForLoadState();
    const probe = await page.context().newPage();
    await probe.goto("http://outside.example/probe");
    const left = office.trapped.escaped.filter(
      (request) => request.startsWith("outside.example") && !request.includes("favicon"),
    );
    expect(left).toEqual(["outside.example /visited", "outside.example /probe"]);
    expect(await page.title()).toContain("needle");
    expect(dialogs).toEqual([]);
    await page.context().close();
  });

  test("text is shown as text, what is quoted steps back, and addresses of the web can be followed", async () => {
    const page = await office.open("plain@example.org", "/1");
    expect(await page.locator(".text").innerText()).toContain("<b>not bold</b>");
    expect(await page.locator(".text b").count()).toBe(0);
    expect(await page.locator(".text .q").innerText()).toBe("> old");
    const link = page.locator(".text a");
    expect([await link.getAttribute("href"), await link.getAttribute("rel")]).toEqual([
      "http://outside.example/a",
      "noopener noreferrer nofollow",
    ]);
    await page.context().close();
  });
});
