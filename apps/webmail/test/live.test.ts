// What happens elsewhere shows at once: in a second tab, by mail that comes in, by an alarm; also across the end of the
// server, by kill -9.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import { startServer } from "../src/demo/server.ts";
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

  async function somebody(messages: number): Promise<{ page: Page; name: string }> {
    const name = `p${++people}@example.org`;
    for (let i = 1; i <= messages; i++) await office.mail(name, `Letter ${i}`);
    return { page: await office.open(name), name };
  }

  const unread = (page: Page): Promise<string[]> => page.locator(".mail.unread .what").allInnerTexts();

  /** Snoozes the message that is open, for a second or two. */
  async function snooze(page: Page): Promise<void> {
    await page.keyboard.press("z");
    await page.evaluate(
      "document.querySelector('[name=local]').type = 'text'; document.querySelector('[name=local]').value = new Date(Date.now() + 2000).toISOString()",
    );
    await page.getByRole("button", { name: "Snooze", exact: true }).click();
    await page.waitForSelector("#list");
    await page.getByText("1 message snoozed.").waitFor();
  }

  test("what is read, starred, moved in one tab shows in the other", async () => {
    const { page, name } = await somebody(3);
    const other = await office.tab(page, boxLink(name));
    expect(await unread(other)).toEqual(["Letter 3", "Letter 2", "Letter 1"]);
    await page.getByText("Letter 2").click();
    await expect.poll(() => unread(other)).toEqual(["Letter 3", "Letter 1"]);
    expect(await other.title()).toMatch(/^\(2\) Inbox/);
    await page.waitForSelector("html[data-script] .reading");
    await page.getByRole("button", { name: "Mark as unread" }).click();
    await expect.poll(() => unread(other)).toEqual(["Letter 3", "Letter 2", "Letter 1"]);
    await page.waitForSelector("html[data-script] #list");
    await page.locator(".mail", { hasText: "Letter 1" }).getByRole("button", { name: "Star" }).click();
    await other.locator(".mail", { hasText: "Letter 1" }).locator("[aria-pressed=true]").waitFor();
    await page.keyboard.press("e");
    await expect.poll(() => subjects(other)).toEqual(["Letter 3", "Letter 2"]);
    await page.context().close();
  });

  test("an open message is not read again because something changed elsewhere", async () => {
    const { page, name } = await somebody(2);
    const reading = await office.tab(page, boxLink(name, 1));
    await expect.poll(() => unread(page)).toEqual(["Letter 2"]);
    await page.locator(".mail", { hasText: "Letter 1" }).locator(".tick").click();
    await page.locator(".bulk").getByRole("button", { name: "Mark as unread" }).click();
    await reading.locator(".places .count", { hasText: "2" }).waitFor();
    await page.reload();
    expect(await unread(page)).toEqual(["Letter 2", "Letter 1"]);
    await page.context().close();
  });

  test("new mail appears by itself and is announced; ticks and focus stay where they were", async () => {
    const { page, name } = await somebody(2);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await office.mail(name, "Fresh");
    await page.getByText("New mail from Ann: Fresh").waitFor();
    await expect.poll(() => subjects(page)).toEqual(["Fresh", "Letter 2", "Letter 1"]);
    expect(await page.locator(".mail:has(.tick input:checked) .what").innerText()).toBe("Letter 1");
    expect(await page.evaluate("document.activeElement.closest('.mail').querySelector('.what').innerText")).toBe(
      "Letter 1",
    );
    await page.context().close();
  });

  test("who signs out, or in as somebody else, does so in every tab", async () => {
    const { page, name } = await somebody(1);
    const { name: other } = await somebody(1);
    const reading = await office.tab(page, boxLink(name, 1));
    const writing = await office.tab(page, boxLink(name, "compose"));
    await page.goto(`/?q=${other}`);
    await page.waitForSelector("html[data-script]");
    // Looking for another mailbox leaves nothing yet.
    await reading.waitForSelector("html[data-live] .reading");
    await page.locator(`button[value="${other}"]`).click();
    await page.waitForSelector("html[data-live] #list");
    for (const tab of [reading, writing]) {
      await tab.getByText(`You are signed in as ${other}`).waitFor();
      expect(await tab.textContent("body")).not.toContain("Letter 1");
    }
    await reading.goto(boxLink(other));
    await reading.waitForSelector("html[data-live] #list");
    await page.locator(".me summary").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await reading.getByText("Nobody is signed in").waitFor();
    await page.goBack();
    await page.getByText("Nobody is signed in").waitFor();
    expect(await page.textContent("body")).not.toContain("Letter 1");
    await page.context().close();
  });

  test("nobody hears what happens in another mailbox", async () => {
    const { page } = await somebody(1);
    const { page: other, name } = await somebody(1);
    let heard = 0;
    page.on("request", (request) => {
      if (request.headers()["x-refresh"] !== undefined) heard++;
    });
    await office.mail(name, "For the other");
    await other.getByText("New mail from Ann: For the other").waitFor();
    expect([heard, await subjects(page)]).toEqual([0, ["Letter 1"]]);
    await page.context().close();
    await other.context().close();
  });

  test("a snoozed message leaves the inbox and comes back by itself, unread and on top", async () => {
    const { page, name } = await somebody(3);
    await page.getByText("Letter 1").click();
    await page.waitForSelector("html[data-live] .reading");
    await snooze(page);
    expect(await subjects(page)).toEqual(["Letter 3", "Letter 2"]);
    const other = await office.tab(page, boxLink(name, "snoozed"));
    expect(await subjects(other)).toEqual(["Letter 1"]);
    await expect.poll(() => subjects(page), { timeout: 20_000 }).toEqual(["Letter 1", "Letter 3", "Letter 2"]);
    expect(await unread(page)).toContain("Letter 1");
    await other.getByText("Nothing is snoozed.").waitFor();
    await page.context().close();
  });

  test("a message that is snoozed when the server is killed comes back after its start, and the page finds its line again", async () => {
    const { page, name } = await somebody(2);
    await page.getByText("Letter 1").click();
    await page.waitForSelector("html[data-live] .reading");
    await snooze(page);
    expect(await subjects(page)).toEqual(["Letter 2"]);
    process.kill(office.server.pid, "SIGKILL");
    await office.server.ended;
    await page.getByText("The server cannot be reached. What you see may be old.").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("e");
    await page.getByText("The server cannot be reached. Nothing was changed; try again.").waitFor();
    const { port, smtpPort } = office.server;
    office.server = await startServer({ folder: office.folder, port, smtpPort });
    await page.waitForSelector("html[data-live]");
    await expect.poll(() => subjects(page), { timeout: 20_000 }).toEqual(["Letter 1", "Letter 2"]);
    await office.mail(name, "After all");
    await expect.poll(() => subjects(page)).toEqual(["After all", "Letter 1", "Letter 2"]);
    await page.context().close();
  });
});
