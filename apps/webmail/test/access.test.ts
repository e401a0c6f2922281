// Who gets what: no mailbox shows another's mail, nothing changes because another site asked, and each answer says what a
// browser may do with it.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MailServer } from "../src/demo/server.ts";
import { SESSION_SECONDS, Sessions } from "../src/session.ts";
import { EMPTY_FILE, HOSTILE } from "./support/letters.ts";
import { connectMail, cookieFor, getPage, letter, removeFolder, scratchFolder, startMail } from "./support/mail.ts";

const ANN = "/mailbox/ann%40example.org";
const SECRET_TEXT = "the-secret-of-ann";

let folder: string;
let server: MailServer;
let base: string;
let ann: string;
let bob: string;

beforeAll(async () => {
  folder = await scratchFolder();
  server = await startMail(folder);
  base = `http://${server.host}:${server.port}`;
  const client = await connectMail(server);
  await client.send("", ["ann@example.org", "bob@example.org"], letter("to both"));
  await client.send("", ["ann@example.org"], letter(SECRET_TEXT, SECRET_TEXT));
  await client.send("", ["hostile@example.org"], Buffer.from(HOSTILE));
  await client.send("", ["empty@example.org"], Buffer.from(EMPTY_FILE));
  client.close();
  [ann, bob] = [await cookieFor(server, "ann@example.org"), await cookieFor(server, "bob@example.org")];
});

afterAll(async () => {
  await server?.stop();
  await removeFolder(folder);
});

interface Asked {
  readonly cookie?: string;
  readonly origin?: string | null;
  readonly body?: string;
  readonly accept?: string;
}

function ask(target: string, { cookie, origin = base, body, accept }: Asked = {}): Promise<Response> {
  const headers: Record<string, string> = {
    ...(cookie !== undefined && { cookie }),
    ...(accept !== undefined && { accept }),
    ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
    ...(body !== undefined && origin !== null && { origin }),
  };
  return fetch(base + target, {
    redirect: "manual",
    headers,
    ...(body !== undefined && { method: "POST", body }),
  });
}

/** A draft of Ann's with a file. */
async function draftOfAnn(): Promise<{ id: number; file: number }> {
  const fields = `do=keep&draft=&subject=${SECRET_TEXT}&body=x`;
  const kept = await ask(`${ANN}/draft`, { cookie: ann, body: fields, accept: "application/json" });
  const { id } = (await kept.json()) as { id: number };
  const added = await fetch(`${base}${ANN}/draft/${id}/file?name=a.txt`, {
    method: "POST",
    body: SECRET_TEXT,
    headers: { cookie: ann, origin: base },
  });
  const { files } = (await added.json()) as { files: { id: number }[] };
  return { id, file: files[0]?.id ?? 0 };
}

describe("a mailbox", () => {
  test("opens nothing of itself to anybody else, on whichever way", async () => {
    const { id, file } = await draftOfAnn();
    const reads = [
      "",
      "/sent",
      "/drafts",
      "/trash",
      `?q=${SECRET_TEXT}`,
      "/2",
      "/2/raw",
      "/2/html",
      "/2/file/1",
      "/compose?as=forward&id=2",
      `/draft/${id}`,
      `/draft/${id}/file/${file}`,
      "/live",
    ];
    const changes = ["/act", "/draft", `/draft/${id}/file?name=x`, `/draft/${id}/file/${file}`];
    for (const [cookie, status] of [
      [undefined, 401],
      [bob, 403],
    ] as const) {
      const who = cookie === undefined ? {} : { cookie };
      for (const target of reads) {
        const response = await ask(ANN + target, who);
        const text = await response.text();
        expect([target, response.status, text.includes(SECRET_TEXT) && !target.includes("?q=")]).toEqual([
          target,
          status,
          false,
        ]);
        expect(text).not.toContain("to both");
      }
      for (const target of changes) {
        const body = `do=trash&id=1&id=2&draft=${id}&body=stolen`;
        expect([target, (await ask(ANN + target, { ...who, body })).status]).toEqual([target, status]);
      }
    }
    // Nothing of it has happened, and Ann herself sees all of it.
    for (const target of reads.filter((each) => each !== "/2/html" && each !== "/2/file/1" && each !== "/live")) {
      expect([target, (await ask(ANN + target, { cookie: ann })).status]).toEqual([target, 200]);
    }
    expect(await (await ask(`${ANN}/draft/${id}/file/${file}`, { cookie: ann })).text()).toBe(SECRET_TEXT);
    expect(await (await ask(ANN, { cookie: ann })).text()).toContain("2 messages");
  });

  test("finds nothing under the numbers of another", async () => {
    const { id, file } = await draftOfAnn();
    const box = "/mailbox/bob%40example.org";
    for (const target of ["/2", "/2/raw", `/draft/${id}`, `/draft/${id}/file/${file}`]) {
      expect([target, (await ask(box + target, { cookie: bob })).status]).toEqual([target, 404]);
    }
    const body = `do=keep&draft=${id}&subject=stolen`;
    expect((await ask(`${box}/draft`, { cookie: bob, body, accept: "application/json" })).status).toBe(404);
    expect(await (await ask(`${ANN}/draft/${id}`, { cookie: ann })).text()).not.toContain("stolen");
    const moved = await ask(`${box}/act`, { cookie: bob, body: "do=trash&id=2", accept: "application/json" });
    expect(await moved.json()).toEqual({ text: expect.stringContaining("Nothing was moved") });
    const forwarded = await ask(`${box}/draft`, {
      cookie: bob,
      body: "do=keep&draft=&forward=2&subject=x",
      accept: "application/json",
    });
    expect(await forwarded.json()).toMatchObject({ files: [] });
  });

  test("opens for no cookie but one that this server has signed, and not for ever", async () => {
    const [name = "", until = "", signature = ""] = ann.slice(ann.indexOf("=") + 1).split(".");
    const other = Buffer.from("bob@example.org").toString("base64url");
    const [, , signatureOfBob = ""] = bob.slice(bob.indexOf("=") + 1).split(".");
    const flipped = signature.startsWith("A") ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    const forged = [
      `${name}.${until}.${flipped}`,
      `${name}.${Number(until) + 1}.${signature}`,
      `${other}.${until}.${signature}`,
      `${name}.${until}.${signatureOfBob}`,
      `${name}.${until}.`,
      `${name}.${until}`,
      name,
      "",
      new Sessions(new Uint8Array(32)).open("ann@example.org", Date.now()).split(/[=;]/)[1],
    ];
    for (const value of forged) {
      expect([value, (await ask(ANN, { cookie: `frond_mail=${value}` })).status]).toEqual([value, 401]);
    }
    expect((await ask(ANN, { cookie: `other=1; ${ann}` })).status).toBe(200);
    const sessions = new Sessions(new Uint8Array(32));
    const cookie = sessions.open("ann@example.org", 0).split(";", 1)[0] as string;
    const request = new Request(base, { headers: { cookie } });
    expect(sessions.nameOf(request, SESSION_SECONDS * 1000 - 1)).toBe("ann@example.org");
    expect(sessions.nameOf(request, SESSION_SECONDS * 1000)).toBeUndefined();
  });

  test("is opened by picking it, with a cookie that scripts and other sites do not get", async () => {
    const opened = await ask("/login", { body: "name=ann%40example.org&next=%2Fmailbox%2Fann%2540example.org%2F1" });
    expect([opened.status, opened.headers.get("location")]).toEqual([303, `${ANN}/1`]);
    expect(opened.headers.get("set-cookie")).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    const cookie = opened.headers.get("set-cookie")?.split(";", 1)[0] as string;
    expect((await ask(ANN, { cookie })).status).toBe(200);
    for (const next of ["http://outside.example/", "//outside.example", "/mailbox/ann%40example.organ"]) {
      const body = `name=ann%40example.org&next=${encodeURIComponent(next)}`;
      expect((await ask("/login", { body })).headers.get("location")).toBe(ANN);
    }
    const nobody = await ask("/login", { body: "name=nobody%40example.org" });
    expect([nobody.headers.get("location"), nobody.headers.get("set-cookie")]).toEqual([
      "/?q=nobody%40example.org",
      null,
    ]);
    expect((await ask("/logout", { body: "", cookie })).headers.get("set-cookie")).toContain("Max-Age=0");
  });
});

describe("the line to a mailbox", () => {
  /** True if it opens. */
  function opens(headers: Record<string, string>): Promise<boolean> {
    const socket = new WebSocket(`${base.replace("http", "ws")}${ANN}/live`, { headers } as never);
    return new Promise((resolve) => {
      socket.addEventListener("error", () => resolve(false));
      socket.addEventListener("open", () => {
        socket.close();
        resolve(true);
      });
    });
  }

  test("opens to its owner alone, and not to a page of elsewhere in the owner's browser", async () => {
    expect(await opens({ cookie: ann, origin: base })).toBe(true);
    expect(await opens({ origin: base })).toBe(false);
    expect(await opens({ cookie: bob, origin: base })).toBe(false);
    expect(await opens({ cookie: ann, origin: "http://outside.example" })).toBe(false);
    expect(await opens({ cookie: ann, origin: "http://127.0.0.1:1" })).toBe(false);
    expect((await ask(`${ANN}/live`, { cookie: ann })).status).toBe(426);
  });
});

describe("a change", () => {
  test.each([
    ["another site", "http://outside.example"],
    ["another port of this host", "http://127.0.0.1:1"],
    ["a page without an origin", "null"],
    ["something that says nothing", null],
  ])("is refused when %s asks for it", async (_, origin) => {
    for (const target of [`${ANN}/act`, `${ANN}/draft`, "/login", "/logout"]) {
      const response = await ask(target, { cookie: ann, origin, body: "do=trash&id=1&name=ann%40example.org" });
      expect([target, response.status, response.headers.get("set-cookie")]).toEqual([target, 403, null]);
    }
    expect(await (await ask(ANN, { cookie: ann })).text()).toContain("2 messages");
  });

  test("is refused when the browser tells that it comes from elsewhere", async () => {
    const headers = { cookie: ann, origin: base, "sec-fetch-site": "cross-site" };
    const response = await fetch(`${base}${ANN}/act`, { method: "POST", headers, body: "do=trash&id=1" });
    expect(response.status).toBe(403);
  });

  test("that makes no sense is told, and nothing happens", async () => {
    const act = async (body: string): Promise<[number, string]> => {
      const response = await ask(`${ANN}/act`, { cookie: ann, body, accept: "application/json" });
      return [response.status, ((await response.json()) as { error: string }).error];
    };
    expect(await act("do=trash")).toEqual([422, expect.stringContaining("Tick the messages")]);
    expect(await act("do=dance&id=1")).toEqual([422, expect.stringContaining("does not know this button")]);
    expect(await act("do=snooze:0&id=1")).toEqual([422, expect.stringContaining("time that is to come")]);
    expect(await act("do=snooze:until&until=1000&id=1")).toEqual([
      422,
      expect.stringContaining("time that is to come"),
    ]);
    const odd = await fetch(`${base}${ANN}/act`, {
      method: "POST",
      headers: { cookie: ann, origin: base },
      body: "{}",
    });
    expect(odd.status).toBe(400);
    const away = await ask(`${ANN}/act`, { cookie: ann, body: "do=read&id=1&back=//outside.example" });
    expect(away.headers.get("location")).toBe(ANN);
  });
});

describe("answers", () => {
  test.each([
    ["/", 200],
    ["/style.css", 200],
    ["/icon.svg", 200],
    ["/client/main.js", 200],
    ["/client/..%2Fapp.ts", 404],
    ["/client/nothing.js", 404],
    [ANN, 200],
    [`${ANN}?before=0`, 200],
    [`${ANN}/starred`, 200],
    [`${ANN}/999`, 404],
    [`${ANN}/x`, 404],
    [`${ANN}/1/html`, 404],
    [`${ANN}/1/file/1`, 404],
    [`${ANN}/draft/1`, 404],
    [`${ANN}/act`, 404],
    ["/mailbox/hostile%40example.org/1/html", 200],
    ["/mailbox/hostile%40example.org/1/raw", 200],
    ["/mailbox/hostile%40example.org/1/file/1", 200],
    ["/mailbox/hostile%40example.org/1/file/0", 404],
    ["/mailbox/", 404],
    ["/%zz", 404],
    ["/nothing", 404],
  ])("%s is %i, under a policy that lets nothing run but this server's own script", async (target, status) => {
    const response = await getPage(server, target);
    expect(response.status).toBe(status);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none';/);
    expect(policy).not.toMatch(/script-src (?!'self';)/);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("referrer-policy")).toMatch(/^(?:same-origin|no-referrer)$/);
  });

  test.each(["/mailbox/%00", `/mailbox/${"a".repeat(600)}`])("%s is the name of no mailbox", async (target) => {
    expect([401, 404]).toContain((await ask(target)).status);
  });

  test("only reading and posting is answered", async () => {
    const response = await fetch(`${base}/`, { method: "DELETE" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
    expect((await fetch(`${base}/`, { method: "POST", headers: { origin: base } })).status).toBe(404);
  });

  test("a file is bytes to be saved, whatever it calls itself", async () => {
    const response = await getPage(server, "/mailbox/hostile%40example.org/1/file/1");
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-security-policy")).toContain("sandbox");
    expect(response.headers.get("content-disposition")).toBe(
      `attachment; filename="evil_b___ x_.html"; filename*=UTF-8''evil%3Cb%3E%22%3B%20x%3D.html`,
    );
    expect((await response.text()).trim()).toBe('<script>alert("file")</script>');
  });

  test("a file without bytes is called empty", async () => {
    const text = await (await getPage(server, "/mailbox/empty%40example.org/1")).text();
    expect(text).toMatch(/nothing\.txt<\/span> <span class="number">empty</);
  });

  test("the HTML of a message may be framed by this server alone, in a sandbox without scripts", async () => {
    const frame = await getPage(server, "/mailbox/hostile%40example.org/1/html");
    const policy = frame.headers.get("content-security-policy");
    expect(policy).toContain("frame-ancestors 'self'");
    expect(policy).not.toContain("script-src");
    expect(policy).toMatch(/sandbox(?! [^;]*allow-(?:scripts|same-origin))/);
    expect(await (await getPage(server, "/mailbox/hostile%40example.org/1")).text()).toMatch(
      /<iframe [^>]*sandbox="allow-popups/,
    );
  });
});
