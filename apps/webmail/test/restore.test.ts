// Going back, as a reader does it: a moment is chosen, what would change is shown, it happens, and it is undone.

import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { boxLink } from "../src/links.ts";
import { contrast } from "./support/contrast.ts";
import { cookieFor } from "./support/mail.ts";
import { type Office, openOffice, subjects, TEXTS } from "./support/office.ts";

const PHONE = { width: 360, height: 740 };
const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;
  let people = 0;

  beforeAll(async () => {
    office = await openOffice(chromium as string);
  });
  afterAll(() => office?.close());

  /** Somebody who had three letters, and has erased two of them. */
  async function careless(context = {}): Promise<{ page: Page; name: string }> {
    const name = `p${++people}@example.org`;
    for (const subject of ["Lease", "Invoice", "Greetings"]) await office.mail(name, subject);
    const page = await office.open(name, "", context);
    for (const subject of ["Lease", "Invoice"]) {
      await page.locator(".mail", { hasText: subject }).locator(".tick input").check();
    }
    await page.locator(".bulk").getByRole("button", { name: "Move to the trash" }).click();
    await page.getByText("2 messages moved to the trash.").waitFor();
    await page.goto(`${boxLink(name)}/trash`);
    await page.waitForSelector("html[data-script]");
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Empty the trash" }).click();
    await page.getByText("2 messages deleted for ever.").waitFor();
    await page.goto(boxLink(name));
    await page.waitForSelector("html[data-script][data-live]");
    return { page, name };
  }

  const openRestore = async (page: Page): Promise<void> => {
    await page.locator(".me summary").click();
    await page.getByRole("link", { name: "Restore" }).click();
    await page.waitForSelector("html[data-script] .moments");
  };
  const lossless = (page: Page) => page.locator(".moment", { hasText: "3 messages" }).first();

  test("what was erased comes back, in the other tab too, and the restore is undone by a button", async () => {
    const { page, name } = await careless();
    const other = await office.tab(page, boxLink(name, "trash"));
    await other.getByText("The trash is empty.").waitFor();
    await openRestore(page);
    expect(await page.locator(".under").innerText()).toBe("Now: 1 message, all in the inbox, 1 unread");
    expect(await lossless(page).locator(".change").innerText()).toBe("2 messages more than now");
    await lossless(page).getByRole("link").click();
    await page.getByText("2 messages will come back").waitFor();
    expect(await page.locator(".back li").allInnerTexts()).toEqual(expect.arrayContaining(["Lease", "Invoice"]));
    expect(await page.locator(".gone").count()).toBe(0);
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("Done: your mailbox is as it was on").waitFor();
    await expect.poll(() => subjects(other), { timeout: 15_000 }).toEqual(["Invoice", "Lease"]);
    await other.waitForSelector("html[data-live]");
    await page.getByRole("button", { name: "Undo this restore" }).click();
    await page.getByText("Now: 1 message, all in the inbox, 1 unread").waitFor();
    await other.getByText("The trash is empty.").waitFor();
    expect(await page.locator(".chip", { hasText: "before a restore" }).count()).toBe(2);
    await page.context().close();
  });

  test("what came in since is said to go, also when it comes while the page is open; nothing goes unseen", async () => {
    const { page, name } = await careless();
    await openRestore(page);
    await lossless(page).getByRole("link").click();
    await page.getByText("2 messages will come back").waitFor();
    await office.mail(name, "Late");
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("Something changed in your mailbox meanwhile. This is what would change now.").waitFor();
    expect(await page.locator(".gone").innerText()).toBe("1 message will be gone\nLate");
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByText("Done: your mailbox is as it was on").waitFor();
    await page.goto(boxLink(name));
    expect(await subjects(page)).toEqual(["Greetings"]);
    // A number is not given twice: the one of the letter that is gone stays its own.
    await office.mail(name, "After all");
    await page.waitForSelector(".mail:nth-child(2)");
    const numbers = await page.locator(".mail").evaluateAll((rows) => rows.map((row) => Number(row.dataset["id"])));
    expect(numbers[0]).toBeGreaterThan(4);
    await page.context().close();
  });

  test("keys step through the moments, and all of it works without script", async () => {
    const { page, name } = await careless();
    await page.goto(`${boxLink(name)}/restore`);
    await page.waitForSelector("html[data-script] .moments");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    const place = "[...document.querySelectorAll('.moment')].indexOf(document.activeElement.closest('.moment'))";
    expect(await page.evaluate(place)).toBe(0);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /Go back to/ }).waitFor();
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.waitForSelector(".moments");
    await page.context().close();

    const { page: plain, name: box } = { page: await scriptless(name), name };
    await plain.goto(`${boxLink(box)}/restore`);
    await lossless(plain).getByRole("link").click();
    await plain.getByRole("button", { name: "Restore" }).click();
    await plain.getByText("Done: your mailbox is as it was on").waitFor();
    await plain.context().close();
  });

  async function scriptless(name: string): Promise<Page> {
    const context = await office.trapped.browser.newContext({ baseURL: office.base, javaScriptEnabled: false });
    const [cookie = "", value = ""] = (await cookieFor(office.server, name)).split("=", 2);
    await context.addCookies([{ name: cookie, value, url: office.base }]);
    return context.newPage();
  }

  test("the mailbox is downloaded as one archive", async () => {
    const { page, name } = await careless();
    await page.goto(`${boxLink(name)}/restore`);
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download my mailbox" }).click();
    const download = await coming;
    expect(download.suggestedFilename()).toBe(`${name}.tar`);
    const bytes = readFileSync(await download.path());
    expect(bytes.toString("latin1", 0, 7)).toBe("cell.db");
    expect(bytes.toString("latin1", 512, 527)).toBe("SQLite format 3");
    await page.context().close();
  });

  test("a new mailbox has nothing to go back to, and says so; a moment that never was is refused", async () => {
    const name = `p${++people}@example.org`;
    await office.mail(name, "First");
    const page = await office.open(name, "/restore");
    await page.getByText("Nothing to go back to yet.").waitFor();
    for (const at of ["9-9", "0-0", "1-999", "nonsense"]) {
      await page.goto(`${boxLink(name)}/restore?at=${at}`);
      await page.getByText("This moment cannot be gone back to (any more).").waitFor();
    }
    await page.context().close();
  });

  test.each(["light", "dark"] as const)("it fits a phone and can be read in the %s scheme", async (colorScheme) => {
    const { page } = await careless({ viewport: PHONE, hasTouch: true, colorScheme });
    const check = async (what: string): Promise<void> => {
      expect([what, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([what, PHONE.width]);
      const texts = await page.evaluate<{ words: string; ink: string; ground: string }[]>(TEXTS);
      const faint = texts.filter(({ ink, ground }) => contrast(ink, ground) < 4.5);
      expect([what, texts.length > 2, faint]).toEqual([what, true, []]);
      expect(await page.locator("h1").count()).toBe(1);
    };
    await page.locator(".me summary").click();
    await check("menu");
    await page.getByRole("link", { name: "Restore" }).click();
    await page.waitForSelector(".moments");
    await check("moments");
    await lossless(page).getByRole("link").click();
    await page.waitForSelector(".changes");
    await check("preview");
    await page.getByRole("button", { name: "Restore" }).click();
    await page.waitForSelector(".done");
    await check("done");
    await page.setViewportSize({ width: 1200, height: 800 });
    await page.context().close();
  });
});

describe.skipIf(chromium === undefined)("the past of a mailbox", () => {
  let office: Office;
  const NAME = "ann@example.org";

  beforeAll(async () => {
    office = await openOffice(chromium as string);
    await office.mail(NAME, "One");
    await office.mail(NAME, "Two");
  });
  afterAll(() => office?.close());

  const post = async (what: string, of: string | undefined, headers: Record<string, string>): Promise<Response> =>
    fetch(`${office.base}${boxLink(NAME)}/${what}`, {
      method: "POST",
      redirect: "manual",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        ...(of !== undefined && { cookie: await cookieFor(office.server, of) }),
        ...headers,
      },
      body: new URLSearchParams({ at: "1-1", seen: "1-9" }),
    });

  test("is its owner's alone, and nothing is done for a page of elsewhere", async () => {
    const own = { origin: office.base };
    const asked = { headers: { cookie: await cookieFor(office.server, "bob@example.org") } };
    const read = await fetch(`${office.base}${boxLink(NAME)}/restore?at=1-1`, asked);
    expect([read.status, (await read.text()).includes("One")]).toEqual([403, false]);
    for (const what of ["restore", "download"]) {
      expect((await post(what, undefined, own)).status).toBe(401);
      expect((await post(what, "bob@example.org", own)).status).toBe(403);
      expect((await post(what, NAME, {})).status).toBe(403);
      expect((await post(what, NAME, { origin: "https://elsewhere.example" })).status).toBe(403);
      expect((await post(what, NAME, { ...own, "sec-fetch-site": "cross-site" })).status).toBe(403);
    }
    const page = await office.open(NAME);
    expect(await subjects(page)).toEqual(["Two", "One"]);
    await page.context().close();
  });

  test("is not changed by a form that did not see the present", async () => {
    expect((await post("restore", NAME, { origin: office.base })).status).toBe(409);
    const page = await office.open(NAME);
    expect(await subjects(page)).toEqual(["Two", "One"]);
    await page.context().close();
  });
});
