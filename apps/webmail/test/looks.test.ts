// How the pages look to those who see them small, dark or hardly; and what they say when there is nothing, or no line.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { boxLink } from "../src/links.ts";
import { contrast } from "./support/contrast.ts";
import { HOSTILE } from "./support/letters.ts";
import { connectMail, letter } from "./support/mail.ts";
import { type Office, openOffice, subjects, TEXTS } from "./support/office.ts";

const LONG = "a-long-name-of-a-list@lists.department.example.org";
const BOX = boxLink(LONG);
const PHONE = { width: 360, height: 740 };
const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;

  beforeAll(async () => {
    office = await openOffice(chromium as string);
    const client = await connectMail(office.server);
    await client.send("", [LONG], letter("needle ".repeat(40), `${"x".repeat(400)} needle\n> quoted\n`));
    await client.send("", [LONG], Buffer.from(HOSTILE));
    const crowd = Array.from({ length: 30 }, (_, i) => `somebody-with-a-name-${i}@department.example.org`).join(", ");
    await client.send(
      "",
      [LONG],
      Buffer.from(`From: "${"N".repeat(90)}" <n@example.org>\nTo: ${crowd}\nSubject: ${"W".repeat(120)}\n\ntext\n`),
    );
    client.close();
  });
  afterAll(() => office?.close());

  const open = (place: string, options = {}): Promise<Page> => office.open(LONG, place, options);

  test("every page fits a phone, also with its menus open", async () => {
    const page = await open("", { viewport: PHONE, hasTouch: true });
    const fits = async (what: string): Promise<void> => {
      expect([what, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([what, PHONE.width]);
    };
    await page.getByRole("link", { name: "Folders" }).tap();
    await page.getByRole("link", { name: "Archive" }).waitFor();
    await fits("folders");
    await page.getByRole("link", { name: "Close the folders" }).click({ position: { x: 350, y: 300 } });
    await page.locator(".tick").first().tap();
    await page.locator(".bulk summary").tap();
    await page.getByRole("button", { name: "1 hour" }).waitFor();
    await fits("snooze");
    for (const place of ["", "?q=needle", "/1", "/2", "/3", "/compose?as=all&id=3", "/trash", "/drafts", "/999"]) {
      await page.goto(BOX + place);
      await fits(place);
    }
    for (const place of ["/", "/mailbox/somebody%40example.org"]) {
      await page.goto(place);
      await fits(place);
    }
    await page.context().close();
  });

  test.each(["light", "dark"] as const)("every text can be read in the %s scheme", async (colorScheme) => {
    const page = await open("", { colorScheme });
    const readable = async (what: string): Promise<void> => {
      const texts = await page.evaluate<{ words: string; ink: string; ground: string }[]>(TEXTS);
      const faint = texts.filter(({ ink, ground }) => contrast(ink, ground) < 4.5);
      expect([what, texts.length > 2, faint]).toEqual([what, true, []]);
    };
    await readable("list");
    await page.getByRole("searchbox").fill("needl");
    await page.locator("mark").first().waitFor();
    await readable("search");
    await page.locator(".me summary").click();
    await page.keyboard.press("?");
    await readable("help and menu");
    for (const place of [`${BOX}/1`, `${BOX}/2`, `${BOX}/compose`, `${BOX}/starred`, `${BOX}/999`, "/", "/?q=some"]) {
      await page.goto(place);
      await readable(place);
    }
    await page.goto(`${BOX}/compose`);
    await page.waitForSelector("html[data-script]");
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(".problem:visible").waitFor();
    await readable("a problem");
    await page.getByRole("button", { name: "Discard" }).click();
    await page.locator("#toast div").waitFor();
    await readable("a note");
    await page.context().close();
  });

  test("an address is broken after its signs, never in a word", async () => {
    const page = await open("", { viewport: PHONE });
    expect(await page.locator(".me .address").innerHTML()).toBe(
      "a-long-name-of-a-list@<wbr>lists.<wbr>department.<wbr>example.<wbr>org",
    );
    await page.context().close();
  });

  test("every place without messages says what belongs there", async () => {
    const page = await open("");
    for (const [place, title] of [
      ["starred", "No stars yet."],
      ["snoozed", "Nothing is snoozed."],
      ["sent", "Nothing sent yet."],
      ["drafts", "No drafts."],
      ["archive", "The archive is empty."],
      ["trash", "The trash is empty."],
    ] as const) {
      await page.goto(`${BOX}/${place}`);
      expect([place, await page.locator(".blank strong").innerText()]).toEqual([place, title]);
      expect((await page.locator(".blank p").nth(1).innerText()).length).toBeGreaterThan(10);
    }
    await page.context().close();
  });

  test("without a line the page says so, keeps what it shows, and goes on when the line is back", async () => {
    const page = await open("");
    const before = await subjects(page);
    await page.context().setOffline(true);
    await page.getByText("You are offline. What you see may be old.").waitFor();
    await page.locator(".star").first().click();
    await page.getByText("Nothing was changed; try again.").waitFor();
    expect(await page.locator(".star").first().getAttribute("aria-pressed")).toBe("false");
    await page.getByRole("searchbox").fill("needle");
    await page.getByText("You are offline. What you see may be old.").waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    expect(await subjects(page)).toEqual(before);
    await page.context().setOffline(false);
    await page.locator("mark").first().waitFor();
    expect(await page.locator("#banner").isVisible()).toBe(false);
    await page.context().close();
  });

  test("over a slow line the page says that it is at work, until it shows what was asked for", async () => {
    const page = await open("");
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    await page.route("**/*q=needle*", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("searchbox").fill("needle");
    await page.waitForSelector("html[data-busy]");
    go?.();
    await page.locator("mark").first().waitFor();
    await page.waitForSelector("html:not([data-busy])");
    await page.context().close();
  });

  test("a text without end is shown by its beginning, and long names by both of theirs", async () => {
    const client = await connectMail(office.server);
    const name = `${"x".repeat(200)}.pdf.exe`;
    const head = `From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n`;
    const file = `--b\nContent-Type: application/x; name=${name}\n\nx\n--b--\n`;
    await client.send("", [LONG], Buffer.from(`${head}first line\n${"word\n".repeat(400_000)}last line\n${file}`));
    client.close();
    const page = await open("");
    await page.locator(".mail .row").first().click();
    await page.getByText("This message is very long; only its beginning is shown.").waitFor();
    const text = await page.locator(".text").innerText();
    expect([text.startsWith("first line\nword"), text.length < 300_000]).toEqual([true, true]);
    const shown = page.locator(".files span").first();
    expect([(await shown.innerText()).endsWith("xxx.pdf.exe"), await shown.getAttribute("title")]).toEqual([
      true,
      name,
    ]);
    expect((await shown.innerText()).length).toBeLessThan(90);
    await page.context().close();
  });

  test("whoever cannot see hears names of all fields and buttons", async () => {
    const page = await open("");
    for (const place of ["", "/1", "/compose"]) {
      await page.goto(BOX + place);
      const nameless = await page.evaluate(
        `[...document.querySelectorAll("button, a, input:not([type=hidden]), textarea, summary, iframe")]
          .filter((element) => !element.hidden && !(element.ariaLabel || element.title || element.textContent.trim() || element.labels?.length))
          .map((element) => element.outerHTML)`,
      );
      expect([place, nameless]).toEqual([place, []]);
      expect(await page.locator("h1").count()).toBe(1);
    }
    await page.keyboard.press("Tab");
    await page.context().close();
  });
});
