// The page in a real browser: pick, list, read, search; and what a hostile message can do there, which is nothing.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import type { MailServer } from "../src/demo/server.ts";
import { openBrowser, type TrappedBrowser } from "./support/browser.ts";
import { connectMail, letter, removeFolder, scratchFolder, startMail } from "./support/mail.ts";

const MESSAGES = 55;

const HOSTILE = `Return-Path: <x@example.org>
From: "<img src=x onerror=alert(1)>" <evil@example.org>
To: <hostile@example.org>
Subject: <script>alert('subject')</script> needle
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<html><head><meta http-equiv="refresh" content="0;url=http://outside.example/refresh">
<link rel="stylesheet" href="http://outside.example/sheet.css"><link rel="prefetch" href="//outside.example/prefetch">
<style>@import "http://outside.example/import.css"; body { background: url(http://outside.example/style.png) }</style>
</head><body background="http://outside.example/body.gif" onload="alert('load')">
<script>alert("script"); parent.document.title = "owned";</script><script src="http://outside.example/script.js"></script>
<p style="color: red; background: url('http://outside.example/inline.png')">Dear <b>reader</b></p>
<img src="http://outside.example/pixel.gif" alt="pixel" onerror="alert('img')"><img srcset="//outside.example/set.gif 2x">
<iframe src="http://outside.example/frame"></iframe><object data="http://outside.example/object"></object>
<video src="http://outside.example/video" poster="http://outside.example/poster"></video>
<form action="http://outside.example/form"><input autofocus onfocus="alert('focus')" name="a"><button>Send</button></form>
<svg onload="alert('svg')"><image href="http://outside.example/svg.png"/></svg>
<a href="javascript:alert('link')">run</a> <a href="http://outside.example/visited">visit</a>
</body></html>
--b
Content-Type: text/html; name="evil.html"
Content-Disposition: attachment; filename="evil<b>\\"; x=.html"

<script>alert("file")</script>
--b--
`;

const EMPTY_FILE = `Subject: empty
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Here.
--b
Content-Type: text/plain; name="nothing.txt"
Content-Disposition: attachment; filename="nothing.txt"
Content-Transfer-Encoding: base64

--b--
`;

/** Contrast of two colours as WCAG counts it, 1 to 21; each as the browser states it: `rgb(1, 2, 3)`. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [one, other].map(luminance).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map((text) => {
    const part = Number(text) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const chromium = need("chromium");
let folder: string;
let server: MailServer;
let trapped: TrappedBrowser;
let base: string;

beforeAll(async () => {
  folder = await scratchFolder();
  server = await startMail(folder);
  base = `http://${server.host}:${server.port}`;
  if (chromium !== undefined) trapped = await openBrowser(chromium);
  const client = await connectMail(server);
  for (let i = 1; i <= MESSAGES; i++) {
    const text = i === 7 ? "A caf\u00e9 with a needle in the <i>haystack</i> & more" : `Number ${i}\n`;
    await client.send("ann@example.org", ["mb/reader@example.org"], letter(`Letter ${i}`, text));
  }
  await client.send("", ["hostile@example.org"], Buffer.from(HOSTILE));
  await client.send("", ["plain@example.org"], letter("wide", `${"x".repeat(400)}\n<b>not bold</b>\n`));
  await client.send("", ["a-long-name-of-a-list@lists.department.example.org"], letter("long"));
  await client.send("", ["empty@example.org"], Buffer.from(EMPTY_FILE));
  const many = Array.from({ length: 70 }, (_, i) => `zz-${String(i).padStart(2, "0")}@example.org`);
  await client.send("", many, letter("many"));
  client.close();
});

afterAll(async () => {
  await trapped?.close();
  await server?.stop();
  await removeFolder(folder);
});

describe.skipIf(chromium === undefined)("in a browser", () => {
  let page: Page;
  let dialogs: string[];

  beforeEach(async () => {
    const context = await trapped.browser.newContext({ baseURL: base, viewport: { width: 1100, height: 800 } });
    page = await context.newPage();
    dialogs = [];
    context.on("dialog", (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
  });

  afterEach(async () => {
    await page.context().close();
  });

  test("a mailbox is picked, listed newest first, paged, read", async () => {
    await page.goto("/");
    expect(await page.textContent("main")).toContain("75 mailboxes, 129 messages");
    await page.getByRole("searchbox").fill("MB/");
    await page.getByRole("button", { name: "Find" }).click();
    expect(await page.locator(".rows li").allInnerTexts()).toEqual([
      expect.stringMatching(/^mb\/reader@example.org\s+55$/),
    ]);
    await page.getByText("mb/reader@example.org").click();

    const subjects = (): Promise<string[]> => page.locator(".rows .what").allInnerTexts();
    expect((await subjects()).length).toBe(50);
    expect((await subjects())[0]).toBe("Letter 55");
    await page.getByRole("link", { name: "Older" }).click();
    expect(await subjects()).toEqual(["Letter 5", "Letter 4", "Letter 3", "Letter 2", "Letter 1"]);
    expect(await page.getByRole("link", { name: "Older" }).count()).toBe(0);
    await page.getByText("Letter 3").click();
    expect(await page.textContent("h1")).toBe("Letter 3");
    expect(await page.textContent("pre.text")).toContain("Number 3");
    await page.getByRole("link", { name: "Newer" }).click();
    expect(await page.textContent("h1")).toBe("Letter 4");
    await page.getByRole("link", { name: "Older" }).click();
    await page.getByRole("link", { name: "Older" }).click();
    expect(await page.textContent("h1")).toBe("Letter 2");
    await page.goto("/mailbox/mb%2Freader%40example.org/1");
    expect(await page.locator(".beside a").allInnerTexts()).toEqual(["Newer"]);
    await page.goto("/mailbox/mb%2Freader%40example.org/55");
    expect(await page.locator(".beside a").allInnerTexts()).toEqual(["Older"]);
    await page.getByRole("link", { name: "mb/reader@example.org" }).click();
    expect((await subjects())[0]).toBe("Letter 55");
  });

  test("mailboxes that begin alike are listed by name, page after page", async () => {
    await page.goto("/");
    expect(await page.locator(".under").innerText()).toContain("Below are the 60 fullest.");
    await page.goto("/?q=ZZ-");
    expect(await page.locator(".under").innerText()).toBe("70 of 75 mailboxes match, with 70 messages; by name.");
    const names = (): Promise<string[]> => page.locator(".rows .name").allInnerTexts();
    const first = await names();
    await page.getByRole("link", { name: "More mailboxes" }).click();
    const second = await names();
    expect([first.length, first[0], second.length, second[0]]).toEqual([
      60,
      "zz-00@example.org",
      10,
      "zz-60@example.org",
    ]);
    expect(await page.getByRole("link", { name: "More mailboxes" }).count()).toBe(0);
    await page.goto("/?q=nobody");
    expect(await page.textContent(".blank")).toContain("No mailbox begins like that");
    expect(await page.locator(".under").innerText()).toBe("0 of 75 mailboxes match.");
  });

  test("search finds whole words in any case, marks them, and says when there is nothing", async () => {
    const search = async (typed: string): Promise<string[]> => {
      await page.goto("/mailbox/mb%2Freader%40example.org");
      await page.getByRole("searchbox").fill(typed);
      await page.getByRole("button", { name: "Search" }).click();
      return page.locator(".rows .what").allInnerTexts();
    };
    expect(await search("NEEDLE cafe")).toEqual(["Letter 7"]);
    expect(await page.locator(".under").innerText()).toBe("1 of 55 messages match · show all");
    expect(await page.locator("mark").allInnerTexts()).toEqual(["caf\u00e9", "needle"]);
    expect(await page.locator(".extract").innerText()).toContain("needle in the <i>haystack</i> & more");
    expect(await search('"needle in"')).toEqual(["Letter 7"]);
    expect(await search('"in needle"')).toEqual([]);
    expect(await page.textContent(".blank")).toContain("No message has all of these words");
    expect(await page.locator(".under").innerText()).toContain("0 of 55 messages match");
    expect(await search("need")).toEqual([]);
    expect(await search('"<b>&')).toEqual([]);
    expect(await page.getByRole("searchbox").inputValue()).toBe('"<b>&');
    expect(await search("--")).toEqual([]);
    expect(await page.textContent(".blank")).toContain("There is no word in that search");
  });

  test("what a search found is counted and walked through, to the last match", async () => {
    await page.goto("/mailbox/mb%2Freader%40example.org?q=number");
    expect(await page.locator(".under").innerText()).toContain("54 of 55 messages match; latest arrivals first");
    await page.getByText("Letter 6", { exact: true }).click();
    await page.getByRole("link", { name: "Newer match" }).click();
    expect(await page.textContent("h1")).toBe("Letter 8");
    await page.getByRole("link", { name: "Older match" }).click();
    expect(await page.textContent("h1")).toBe("Letter 6");
    await page.getByRole("link", { name: "mb/reader@example.org" }).click();
    expect(await page.getByRole("searchbox").inputValue()).toBe("number");
    await page.goto("/mailbox/mb%2Freader%40example.org?q=number&before=1");
    expect(await page.textContent(".blank")).toContain("No older messages");
  });

  test.each(["light", "dark"] as const)("a found word can be read in the %s scheme", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.goto("/mailbox/mb%2Freader%40example.org?q=needle");
    const [ink, ground] = await page.evaluate<[string, string]>(
      "(({ color, backgroundColor }) => [color, backgroundColor])(getComputedStyle(document.querySelector('mark')))",
    );
    expect(contrast(ink, ground)).toBeGreaterThanOrEqual(4.5);
  });

  test("an address is broken after its signs, never in a word", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto("/mailbox/a-long-name-of-a-list%40lists.department.example.org");
    for (const place of ["h1", ".step a"]) {
      expect(await page.locator(place).innerHTML()).toBe(
        "a-long-name-of-a-list@<wbr>lists.<wbr>department.<wbr>example.<wbr>org",
      );
    }
    const tops = await page.locator(".top nav > *").evaluateAll((items) => items.map((item) => item.offsetTop));
    expect(Math.abs((tops[0] as number) - (tops[1] as number))).toBeLessThan(8);
  });

  test("a hostile message is text and colours; nothing of it runs and nothing leaves", async () => {
    await page.goto("/mailbox/hostile%40example.org?q=needle");
    expect(await page.locator(".who").innerText()).toBe("<img src=x onerror=alert(1)>");
    await page.locator(".rows a").click();
    expect(await page.textContent("h1")).toBe("<script>alert('subject')</script> needle");
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
    const left = trapped.escaped.filter(
      (request) => request.startsWith("outside.example") && !request.includes("favicon"),
    );
    expect(left).toEqual(["outside.example /visited", "outside.example /probe"]);
    expect(await page.title()).toContain("needle");
    expect(dialogs).toEqual([]);
  });

  test.each([
    "/",
    "/mailbox/mb%2Freader%40example.org",
    "/mailbox/plain%40example.org/1",
    "/mailbox/hostile%40example.org/1",
  ])("%s fits a phone", async (target) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto(target);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  });

  test("text is shown as text", async () => {
    await page.goto("/mailbox/plain%40example.org/1");
    expect(await page.locator("pre.text").innerText()).toContain("<b>not bold</b>");
    expect(await page.locator("pre.text b").count()).toBe(0);
  });
});

describe("answers", () => {
  test.each([
    ["/", 200],
    ["/style.css", 200],
    ["/icon.svg", 200],
    ["/mailbox/mb%2Freader%40example.org", 200],
    ["/mailbox/mb%2Freader%40example.org?before=0", 200],
    ["/mailbox/nobody%40example.org", 404],
    ["/mailbox/mb%2Freader%40example.org/999", 404],
    ["/mailbox/mb%2Freader%40example.org/x", 404],
    ["/mailbox/mb%2Freader%40example.org/1/html", 404],
    ["/mailbox/mb%2Freader%40example.org/1/file/1", 404],
    ["/mailbox/hostile%40example.org/1/html", 200],
    ["/mailbox/hostile%40example.org/1/raw", 200],
    ["/mailbox/hostile%40example.org/1/file/1", 200],
    ["/mailbox/hostile%40example.org/1/file/0", 404],
    ["/mailbox/", 404],
    ["/mailbox/%00", 404],
    [`/mailbox/${"a".repeat(600)}`, 404],
    ["/%zz", 404],
    ["/nothing", 404],
  ])("%s is %i, under a policy that lets nothing run", async (target, status) => {
    const response = await fetch(base + target);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none';/);
    expect(response.headers.get("content-security-policy")).not.toContain("script-src");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  });

  test("only reading is answered", async () => {
    const response = await fetch(`${base}/`, { method: "POST", body: "x" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("a file is bytes to be saved, whatever it calls itself", async () => {
    const response = await fetch(`${base}/mailbox/hostile%40example.org/1/file/1`);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-security-policy")).toContain("sandbox");
    expect(response.headers.get("content-disposition")).toBe(
      `attachment; filename="evil_b___ x_.html"; filename*=UTF-8''evil%3Cb%3E%22%3B%20x%3D.html`,
    );
    expect((await response.text()).trim()).toBe('<script>alert("file")</script>');
  });

  test("a file without bytes is called empty", async () => {
    const text = await (await fetch(`${base}/mailbox/empty%40example.org/1`)).text();
    expect(text).toMatch(/nothing\.txt <span class="number">empty</);
  });

  test("the HTML of a message may be framed by this server alone, in a sandbox without scripts", async () => {
    const policy = (await fetch(`${base}/mailbox/hostile%40example.org/1/html`)).headers.get("content-security-policy");
    expect(policy).toContain("frame-ancestors 'self'");
    expect(policy).toMatch(/sandbox(?! [^;]*allow-(?:scripts|same-origin))/);
    expect(await (await fetch(`${base}/mailbox/hostile%40example.org/1`)).text()).toMatch(
      /<iframe [^>]*sandbox="allow-popups/,
    );
  });
});
