// The mail app and a browser, for the tests of one file: people open pages as the owners of their mailboxes.

import type { BrowserContextOptions, Page } from "playwright-core";
import type { MailServer } from "../../src/demo/server.ts";
import { boxLink } from "../../src/links.ts";
import { openBrowser, type TrappedBrowser } from "./browser.ts";
import { connectMail, cookieFor, letter, removeFolder, scratchFolder, startMail } from "./mail.ts";

/** A running mail app with a browser beside it. */
export interface Office {
  server: MailServer;
  readonly folder: string;
  readonly base: string;
  readonly trapped: TrappedBrowser;
  /** A page, signed in as `name` and at a place in that mailbox; `context`: what the browser is like. */
  open(name: string, place?: string, context?: BrowserContextOptions): Promise<Page>;
  /** Another tab of the same person. */
  tab(page: Page, place: string): Promise<Page>;
  /** Lets a message with `text` come in. */
  mail(name: string, subject: string, text?: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts both; `chromium`: the browser's path. */
export async function openOffice(chromium: string): Promise<Office> {
  const folder = await scratchFolder();
  const server = await startMail(folder);
  const trapped = await openBrowser(chromium);
  const base = `http://${server.host}:${server.port}`;
  const go = async (page: Page, place: string): Promise<Page> => {
    await page.goto(place);
    await page.waitForSelector("html[data-script][data-live]");
    return page;
  };
  const office: Office = {
    server,
    folder,
    base,
    trapped,
    async open(name, place = "", options = {}) {
      const context = await trapped.browser.newContext({
        baseURL: base,
        viewport: { width: 1200, height: 800 },
        ...options,
      });
      const [cookie = "", value = ""] = (await cookieFor(office.server, name)).split("=", 2);
      await context.addCookies([{ name: cookie, value, url: base }]);
      return go(await context.newPage(), boxLink(name) + place);
    },
    tab: async (page, place) => go(await page.context().newPage(), place),
    async mail(name, subject, text) {
      const client = await connectMail(office.server);
      await client.send("ann@example.org", [name], letter(subject, text));
      client.close();
    },
    async close() {
      await trapped.close();
      await office.server.stop();
      await removeFolder(folder);
    },
  };
  return office;
}

/** The subjects of a list, from the top. */
export function subjects(page: Page): Promise<string[]> {
  return page.locator(".mails .what").allInnerTexts();
}

/** Every text that can be seen on the page, with its colour and the ground below it. */
export const TEXTS = `[...document.querySelectorAll("body *")].flatMap((element) => {
  const words = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
  if (words === "" || !element.checkVisibility({ visibilityProperty: true }) || element.closest(".out, .skip, script")) return [];
  let below = element;
  while (below.parentElement && getComputedStyle(below).backgroundColor === "rgba(0, 0, 0, 0)") below = below.parentElement;
  return [{ words, ink: getComputedStyle(element).color, ground: getComputedStyle(below).backgroundColor }];
})`;
