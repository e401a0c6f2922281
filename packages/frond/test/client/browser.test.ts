// The client in a real browser, loaded file by file as it stands: nothing is bundled, and nothing of Node is there.

import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { need } from "../../../../test-support/need.ts";
import { type App, frond } from "../../src/cell/app.ts";
import { Cell } from "../../src/cell/cell.ts";
import { connect } from "../../src/client/connect.ts";
import { serveExposed } from "../server/exposed.ts";

const FOLDER = path.resolve(import.meta.dirname, "../../src/client");

const PAGE = `<!doctype html><title>notes</title>
  <script type="module">import { connect } from "/client/connect.ts"; globalThis.connect = connect;</script>`;

class Notes extends Cell {
  static override migrations = [`CREATE TABLE note (body TEXT NOT NULL) STRICT`];
  add(body: string): number {
    this.sql`INSERT INTO note (body) VALUES (${body})`;
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM note`.n;
  }
  echo(value: unknown): unknown {
    return value;
  }
}

function notesApp(origins: string[] = []): App {
  return frond({
    cells: { notes: Notes },
    expose: { notes: { add: true, echo: true } },
    authorize: ({ name }, { headers }) => name !== "mine" || headers.get("cookie") === "user=me",
    origins,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/") {
        const headers = { "content-type": "text/html", "set-cookie": "user=me; HttpOnly; SameSite=Lax" };
        return new Response(PAGE, { headers });
      }
      const code = stripTypeScriptTypes(readFileSync(path.join(FOLDER, path.basename(pathname)), "utf8"));
      return new Response(code, { headers: { "content-type": "text/javascript" } });
    },
  });
}

test("its files import nothing but each other", () => {
  const files = readdirSync(FOLDER);
  for (const file of files) {
    const code = stripTypeScriptTypes(readFileSync(path.join(FOLDER, file), "utf8"));
    const imports = [...code.matchAll(/^\s*(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"/gm)].map(([, from]) => from);
    for (const from of imports) expect(files.map((name) => `./${name}`)).toContain(from);
    expect(code).not.toMatch(/\bimport\(|\brequire\(|\bprocess\.|\bBuffer\b/);
  }
  expect(files).toContain("connect.ts");
});

/** A browser that reaches this machine and nothing else. */
const ALONE = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
const program = need("chromium");

describe.skipIf(program === undefined)("in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: program as string, args: ALONE });
  });
  afterAll(() => browser?.close());

  async function open(url: string): Promise<Page> {
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction("globalThis.connect !== undefined");
    return page;
  }

  /** Runs code of a page, which has `connect`. As text, because what compiles this file must not touch it. */
  const run = (page: Page, code: string): Promise<unknown> => page.evaluate(`(async () => { ${code} })()`);

  test.each([false, true])("a page calls the app that it came from (socket: %s)", async (socket) => {
    const { url } = await serveExposed(notesApp());
    const seen = await run(
      await open(url),
      `const client = connect(location.origin, { socket: ${socket} });
       const count = await client.get("notes", "mine").add("by cookie");
       const value = await client.get("notes", "a").echo(new Map([[1n, new Uint8Array([255])]]));
       const refused = await client.get("notes", "a").drop().catch((error) => error.code);
       client.close();
       return { count, byte: value.get(1n)[0], refused };`,
    );
    expect(seen).toEqual({ count: 1, byte: 255, refused: "REFUSED" });
  });

  test("a page of another origin calls only an app that lists it", async () => {
    const { url: origin } = await serveExposed(notesApp());
    const page = await open(origin);
    const listing = await serveExposed(notesApp([origin]));
    const closed = await serveExposed(notesApp());
    const call = (url: string, socket: boolean): Promise<unknown> =>
      run(
        page,
        `const client = connect("${url}", { socket: ${socket}, timeoutMs: 1000 });
         const result = await client.get("notes", "a").add("x").catch((error) => error.code);
         client.close();
         return result;`,
      );
    expect([await call(listing.url, false), await call(listing.url, true)]).toEqual([1, 2]);
    expect([await call(closed.url, false), await call(closed.url, true)]).toEqual(["OUTCOME_UNKNOWN", "NOT_CONNECTED"]);
    // What a page can send without asking, as a form does.
    const forged = `await fetch("${closed.url}/_frond/call/notes/a/add", { method: "POST", mode: "no-cors", body: '["x"]' });`;
    await run(page, forged);
    const own = connect<App<{ notes: { add(body: string): Promise<number> } }>>(closed.url);
    expect(await own.get("notes", "a").add("the first")).toBe(1);
  });
});
