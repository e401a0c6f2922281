// Putting mail away and getting it back, with the mouse and with the keyboard.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { boxLink } from "../src/links.ts";
import { type Office, openOffice, subjects } from "./support/office.ts";

const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;
  let people = 0;

  beforeAll(async () => {
    office = await openOffice(chromium as string);
  });
  afterAll(() => office?.close());

  /** A new mailbox with messages 1 to `messages`, and its page. */
  async function somebody(messages: number, place = ""): Promise<{ page: Page; name: string }> {
    const name = `p${++people}@example.org`;
    for (let i = 1; i <= messages; i++) await office.mail(name, `Letter ${i}`, `text ${i}\n`);
    return { page: await office.open(name, place), name };
  }

  const unread = (page: Page): Promise<string[]> => page.locator(".mail.unread .what").allInnerTexts();
  const said = (page: Page, text: string): Promise<void> => page.locator("#toast").getByText(text).waitFor();
  const row = (page: Page, subject: string) => page.locator(".mail", { hasText: subject });

  test("ticked messages are archived, and an undo brings them back", async () => {
    const { page } = await somebody(3);
    await row(page, "Letter 1").locator(".tick").click();
    await row(page, "Letter 3").locator(".tick").click();
    expect(await page.textContent(".chosen")).toBe("2 selected");
    await page.locator(".bulk").getByRole("button", { name: "Archive" }).click();
    await said(page, "2 messages archived.");
    await expect.poll(() => subjects(page)).toEqual(["Letter 2"]);
    await page.getByRole("button", { name: "Undo" }).click();
    await expect.poll(() => subjects(page)).toEqual(["Letter 3", "Letter 2", "Letter 1"]);
    await page.context().close();
  });

  test("all are ticked at once, marked as read and unread", async () => {
    const { page } = await somebody(2);
    expect(await unread(page)).toEqual(["Letter 2", "Letter 1"]);
    await page.getByRole("checkbox", { name: "Select all" }).click();
    await page.locator(".bulk").getByRole("button", { name: "Mark as read" }).click();
    await expect.poll(() => unread(page)).toEqual([]);
    expect(await page.locator(".places [data-place=inbox] .count").count()).toBe(0);
    await row(page, "Letter 1").locator(".tick").click();
    await page.locator(".bulk").getByRole("button", { name: "Mark as unread" }).click();
    await expect.poll(() => unread(page)).toEqual(["Letter 1"]);
    expect(await page.locator(".places [data-place=inbox] .count").innerText()).toBe("1");
    expect(await page.title()).toMatch(/^\(1\) Inbox/);
    await page.context().close();
  });

  test("a message that is read loses its mark, and gets it back with a button", async () => {
    const { page, name } = await somebody(2);
    await page.getByText("Letter 2").click();
    await page.waitForSelector(".reading");
    await page.getByRole("link", { name: "Back to the list" }).click();
    await page.waitForSelector("#list");
    expect(await unread(page)).toEqual(["Letter 1"]);
    await page.goto(boxLink(name, 2));
    await page.waitForSelector("html[data-script] .reading");
    await page.getByRole("button", { name: "Mark as unread" }).click();
    await page.waitForSelector("#list");
    await said(page, "Marked as unread.");
    expect(await unread(page)).toEqual(["Letter 2", "Letter 1"]);
    await page.context().close();
  });

  test("a message goes to the trash and from there back, or away for ever", async () => {
    const { page, name } = await somebody(3, "/2");
    await page.locator(".toolbar").getByRole("button", { name: "Move to the trash" }).click();
    await page.waitForSelector("#list");
    await said(page, "1 message moved to the trash.");
    expect(await subjects(page)).toEqual(["Letter 3", "Letter 1"]);
    await page.getByRole("link", { name: "Trash" }).click();
    await page.waitForURL("**/trash");
    await page.getByText("Letter 2").click();
    await page.waitForSelector("html[data-script] .reading");
    await page.getByRole("button", { name: "Move to the inbox" }).click();
    await page.waitForURL("**/trash");
    await said(page, "moved to the inbox");
    expect(await page.textContent(".blank")).toContain("The trash is empty.");

    await page.goto(boxLink(name));
    await page.waitForSelector("html[data-script]");
    await page.getByRole("checkbox", { name: "Select all" }).click();
    await page.locator(".bulk").getByRole("button", { name: "Move to the trash" }).click();
    await page.getByText("Nothing in the inbox.").waitFor();
    await page.getByRole("link", { name: "Trash" }).click();
    await page.waitForSelector("html[data-script] .empty");
    page.on("dialog", (dialog) => void dialog.accept());
    await row(page, "Letter 2").locator(".tick").click();
    await page.getByRole("button", { name: "Delete for ever" }).click();
    await said(page, "1 message deleted for ever.");
    await expect.poll(() => subjects(page)).toEqual(["Letter 3", "Letter 1"]);
    await page.getByRole("searchbox").fill("letter");
    await page.getByText("2 found in the trash").waitFor();
    await page.goto(boxLink(name, "trash"));
    await page.waitForSelector("html[data-script]");
    await page.getByRole("button", { name: "Empty the trash" }).click();
    await page.getByText("The trash is empty.").waitFor();
    // What comes again with the same bytes stays away.
    await office.mail(name, "Letter 2", "text 2\n");
    await office.mail(name, "Letter 4");
    await page.goto(boxLink(name));
    expect(await subjects(page)).toEqual(["Letter 4"]);
    await page.context().close();
  });

  test("a star is given and taken where the message stands, and gathers it", async () => {
    const { page, name } = await somebody(3);
    await row(page, "Letter 2").getByRole("button", { name: "Star" }).click();
    await page.getByRole("link", { name: "Starred" }).click();
    await page.waitForURL("**/starred");
    expect(await subjects(page)).toEqual(["InboxLetter 2"]);
    await page.goto(boxLink(name, 3));
    await page.waitForSelector("html[data-script] .reading");
    await page.keyboard.press("s");
    await page.locator(".star[aria-pressed=true]").waitFor();
    await expect
      .poll(async () => {
        await page.goto(boxLink(name, "starred"));
        return subjects(page);
      })
      .toEqual(["InboxLetter 3", "InboxLetter 2"]);
    await page.context().close();
  });

  test("the keyboard walks, ticks, opens, archives, deletes and goes to folders", async () => {
    const { page } = await somebody(5);
    const focused = (): Promise<string> =>
      page.evaluate("document.activeElement.closest('.mail')?.querySelector('.what').innerText ?? ''");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    expect(await focused()).toBe("Letter 4");
    const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    expect(outline).toBe("solid");
    await page.keyboard.press("k");
    expect(await focused()).toBe("Letter 5");
    // The focus goes on to what takes the place of the archived one.
    await page.keyboard.press("e");
    await expect.poll(() => subjects(page)).toEqual(["Letter 4", "Letter 3", "Letter 2", "Letter 1"]);
    expect(await focused()).toBe("Letter 4");
    await page.keyboard.press("x");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    expect(await page.textContent(".chosen")).toBe("2 selected");
    await page.keyboard.press("#");
    await expect.poll(() => subjects(page)).toEqual(["Letter 2", "Letter 1"]);
    await page.keyboard.press("Enter");
    await page.waitForSelector("html[data-script] .reading");
    expect(await page.textContent("h1")).toContain("Letter 2");
    await page.keyboard.press("j");
    await page.waitForURL(/\/1$/);
    await page.waitForSelector("html[data-script] .reading");
    await page.keyboard.press("u");
    await page.waitForSelector("html[data-script] #list");
    expect(await focused()).toBe("Letter 1");
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await page.waitForURL("**/archive");
    await page.waitForSelector("html[data-script] #list");
    expect(await subjects(page)).toEqual(["Letter 5"]);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("c");
    await page.waitForURL("**/compose");
    await page.context().close();
  });

  test("everything but the live parts works without the script", async () => {
    const name = `p${++people}@example.org`;
    for (let i = 1; i <= 2; i++) await office.mail(name, `Letter ${i}`);
    const scripted = await office.open(name);
    const context = await office.trapped.browser.newContext({
      baseURL: office.base,
      javaScriptEnabled: false,
      storageState: await scripted.context().storageState(),
    });
    await scripted.context().close();
    const page = await context.newPage();
    await page.goto(boxLink(name));
    await row(page, "Letter 1").locator(".tick").click();
    await page.locator(".bulk").getByRole("button", { name: "Archive" }).click();
    await page.waitForLoadState();
    expect(await subjects(page)).toEqual(["Letter 2"]);
    await page.goto(boxLink(name, "compose"));
    await page.getByLabel("To").fill(name);
    await page.getByLabel("Subject").fill("By hand");
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL("**/sent");
    await page.goto(boxLink(name));
    expect(await subjects(page)).toEqual(["By hand", "Letter 2"]);
    await page.getByRole("searchbox").fill("hand");
    await page.getByRole("searchbox").press("Enter");
    await page.waitForURL(/q=hand/);
    expect((await subjects(page)).length).toBe(2);
    await context.close();
  });
});
