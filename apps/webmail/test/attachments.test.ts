// Large attachments: kept as files of the mailbox's cell, and a message comes and goes as if they were not.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { need } from "../../../test-support/need.ts";
import type { MailServer } from "../src/demo/server.ts";
import { boxLink } from "../src/links.ts";
import { connectMail, cookieFor, getPage, rawOf, removeFolder, scratchFolder, startMail } from "./support/mail.ts";
import { type Office, openOffice } from "./support/office.ts";

const ANN = "ann@example.org";
const BOB = "bob@example.org";
const run = promisify(execFile);

const large = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 255));
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A message with the large file, and a small one; `subject` makes it another. */
function withFiles(subject: string, file: Buffer = large): Buffer {
  const body = (file.toString("base64").match(/.{1,76}/g) ?? []).join("\r\n");
  return Buffer.from(
    [
      `From: ${ANN}`,
      `Subject: ${subject}`,
      "MIME-Version: 1.0",
      'Content-Type: multipart/mixed; boundary="b"',
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "See there.",
      "--b",
      'Content-Type: application/x-thing; name="large.bin"',
      "Content-Disposition: attachment",
      "Content-Transfer-Encoding: base64",
      "",
      body,
      "--b",
      'Content-Type: text/plain; name="small.txt"',
      "Content-Disposition: attachment",
      "",
      "small",
      "--b--",
      "",
    ].join("\r\n"),
  );
}

/** The object of a message's large file is its body as it was sent. */
function objectOf(raw: Buffer): string {
  const from = raw.indexOf("base64\r\n\r\n") + 10;
  return sha256(raw.subarray(from, raw.indexOf("\r\n--b", from)));
}

/** Sends a message; the code of the reply. */
async function send(server: MailServer, recipients: readonly string[], raw: Buffer): Promise<number> {
  const client = await connectMail(server);
  const { reply } = await client.send(ANN, recipients, raw);
  client.close();
  return reply.code;
}

function objects(server: MailServer): string[] {
  return readdirSync(path.join(server.dataDirectory, "bucket", "files")).toSorted();
}

/** What `frond` says, of the server's data directory. */
async function frond(server: MailServer, ...args: string[]): Promise<string> {
  const program = path.join(path.dirname(createRequire(import.meta.url).resolve("frond/package.json")), "bin/frond.js");
  const { stdout } = await run(process.execPath, [program, ...args, "--data", server.dataDirectory]);
  return stdout;
}

interface Export {
  /** Hashes and references of the cell's files. */
  readonly files: [string, number][];
  readonly cuts: number;
  /** Size of the database, in bytes. */
  readonly bytes: number;
}

async function exported(server: MailServer, folder: string, mailbox: string): Promise<Export> {
  const file = path.join(folder, "mailbox.db");
  const told = await frond(server, "export", `mailbox/${mailbox}`, file, "--force", "--json");
  const db = new DatabaseSync(file);
  const files = db.prepare("SELECT hash, refs FROM _frond_file WHERE refs > 0 ORDER BY hash").all();
  const { n } = db.prepare("SELECT count(*) AS n FROM cut").get() as { n: number };
  db.close();
  const { bytes } = JSON.parse(told) as { bytes: number };
  return { files: files.map(({ hash, refs }) => [hash as string, refs as number]), cuts: n, bytes };
}

describe("over SMTP", () => {
  let folder: string;
  let server: MailServer;
  beforeEach(async () => {
    folder = await scratchFolder();
    server = await startMail(folder);
  });
  afterEach(async () => {
    await server.stop();
    await removeFolder(folder);
  });

  const post = async (mailbox: string, body: string): Promise<object> => {
    const base = `http://${server.host}:${server.port}`;
    const headers = { origin: base, accept: "application/json", cookie: await cookieFor(server, mailbox) };
    const answer = await fetch(`${base}${boxLink(mailbox)}/act`, {
      method: "POST",
      headers,
      body: new URLSearchParams(body),
    });
    return (await answer.json()) as object;
  };
  const fileOf = async (mailbox: string, id: number, number: number): Promise<Buffer> =>
    Buffer.from(await (await getPage(server, boxLink(mailbox, id, "file", number))).arrayBuffer());

  test("a large file stands in the bucket once, in no mailbox, and the message is whole; also after a kill", async () => {
    const raw = withFiles("One");
    await send(server, [ANN, BOB], raw);
    await send(server, [ANN, BOB], raw);
    expect(objects(server)).toEqual([objectOf(raw)]);
    const of = await exported(server, folder, ANN);
    expect(of).toMatchObject({ files: [[objectOf(raw), 1]], cuts: 1 });
    expect(of.bytes).toBeLessThan(300_000);
    process.kill(server.pid, "SIGKILL");
    await server.ended;
    server = await startMail(folder);
    for (const mailbox of [ANN, BOB]) {
      expect((await rawOf(server, mailbox)).equals(raw)).toBe(true);
      expect((await fileOf(mailbox, 1, 1)).equals(large)).toBe(true);
      expect((await fileOf(mailbox, 1, 2)).toString().trim()).toBe("small");
      const page = await (await getPage(server, boxLink(mailbox, 1))).text();
      expect(page).toContain("See there.");
      expect([...page.matchAll(/<span class="number">([^<]+)/g)].map(([, size]) => size)).toEqual([
        "2 MB",
        "6 bytes",
        "2.7 MB",
      ]);
      expect(await (await getPage(server, boxLink(mailbox))).text()).toContain("One");
    }
    expect(await (await getPage(server, "/totals")).json()).toEqual({ mailboxes: 2, messages: 2 });
  });

  test("what is erased lets its file go, and no other message's", async () => {
    const [one, two] = [withFiles("One"), withFiles("Two")];
    await send(server, [ANN], one);
    await send(server, [ANN], two);
    expect(await exported(server, folder, ANN)).toMatchObject({ files: [[objectOf(one), 2]], cuts: 2 });
    await post(ANN, "do=trash&id=1");
    expect(await post(ANN, "do=erase&id=1")).toMatchObject({ text: "1 message deleted for ever." });
    expect(await exported(server, folder, ANN)).toMatchObject({ files: [[objectOf(one), 1]], cuts: 1 });
    expect((await rawOf(server, ANN, 2)).equals(two)).toBe(true);
    await post(ANN, "do=trash&id=2");
    await post(ANN, "do=erase&id=2");
    expect(await exported(server, folder, ANN)).toMatchObject({ files: [], cuts: 0 });
    expect((await getPage(server, boxLink(ANN, 2, "raw"))).status).toBe(404);
    // The same bytes again: what was erased stays away, and leaves nothing behind.
    await send(server, [ANN], two);
    expect(await exported(server, folder, ANN)).toMatchObject({ files: [], cuts: 0 });
  });

  test("a message that comes several times at once is there once, and so is the reference to its file", async () => {
    const raw = withFiles("One");
    await Promise.all(Array.from({ length: 6 }, () => send(server, [ANN], raw)));
    expect(await exported(server, folder, ANN)).toMatchObject({ files: [[objectOf(raw), 1]], cuts: 1 });
    expect((await rawOf(server, ANN)).equals(raw)).toBe(true);
  });

  test("a mailbox is exported as one archive: the database and the files that it names", async () => {
    const raw = withFiles("One");
    await send(server, [ANN], raw);
    const archive = path.join(folder, "ann.tar");
    expect(await frond(server, "export", `mailbox/${ANN}`, archive)).toContain("with 1 file (");
    const plain = await frond(server, "export", `mailbox/${ANN}`, path.join(folder, "ann.db"));
    expect(plain).toContain("not in it: 1 file of the cell, which an archive (.tar) holds");
    await run("tar", ["-xf", archive, "-C", folder]);
    expect(sha256(readFileSync(path.join(folder, "files", objectOf(raw))))).toBe(objectOf(raw));
    const db = new DatabaseSync(path.join(folder, "cell.db"));
    expect(db.prepare("SELECT message.subject, cut.hash FROM message JOIN cut ON message = id").all()).toEqual([
      { subject: "One", hash: objectOf(raw) },
    ]);
    db.close();
  });

  test("a mailbox takes no message whose file the bucket does not take; the sender tries again", async () => {
    await send(server, [ANN], withFiles("Before"));
    const files = path.join(server.dataDirectory, "bucket", "files");
    await rename(files, `${files}-away`);
    // A file where the folder should be.
    await writeFile(files, "");
    expect(await send(server, [ANN], withFiles("Refused", Buffer.alloc(600_000, 1)))).toBe(451);
    expect(await exported(server, folder, ANN)).toMatchObject({ cuts: 1 });
    await removeFolder(files);
    await rename(`${files}-away`, files);
    const again = withFiles("Refused", Buffer.alloc(600_000, 1));
    expect(await send(server, [ANN], again)).toBe(250);
    expect((await rawOf(server, ANN, 2)).equals(again)).toBe(true);
  });
});

const chromium = need("chromium");

describe.skipIf(chromium === undefined)("in a browser", () => {
  let office: Office;
  beforeAll(async () => {
    office = await openOffice(chromium as string);
    for (const name of [ANN, BOB, "cy@example.org"]) await office.mail(name, "Hello");
  });
  afterAll(() => office?.close());

  test("a large file is attached, sent, read, downloaded and forwarded", async () => {
    const page = await office.open(ANN, "/compose");
    await page.getByLabel("To").fill(BOB);
    await page.getByLabel("Subject").fill("Large");
    const name = "large.bin";
    await page.locator("#file").setInputFiles([{ name, mimeType: "application/x-thing", buffer: large }]);
    await page.locator("#files li").waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.waitForURL(`**${boxLink(ANN)}`);
    await page.context().close();
    const download = async (mailbox: string): Promise<void> => {
      const reader = await office.open(mailbox);
      await reader.locator(".mails .what").first().click();
      await reader.locator(".files a").first().waitFor();
      expect(await reader.locator(".files .number").innerText()).toBe("2 MB");
      const [got] = await Promise.all([reader.waitForEvent("download"), reader.locator(".files a").first().click()]);
      const chunks: Buffer[] = [];
      for await (const chunk of await got.createReadStream()) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(large)).toBe(true);
      if (mailbox === BOB) {
        await reader.getByRole("link", { name: "Forward" }).click();
        await reader.locator("#files li").waitFor();
        await reader.getByLabel("To").fill("cy@example.org");
        await reader.getByRole("button", { name: "Send" }).click();
        await reader.waitForURL(`**${boxLink(BOB)}`);
      }
      await reader.context().close();
    };
    await download(BOB);
    await download("cy@example.org");
    // Sent, received, and what was sent on: the same letters of base64 each time.
    expect(objects(office.server)).toHaveLength(1);
  });

  test("a large picture within the text is shown", async () => {
    const picture = Buffer.concat([
      Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "base64",
      ),
      Buffer.alloc(400_000, 7),
    ]);
    const body = (picture.toString("base64").match(/.{1,76}/g) ?? []).join("\n");
    const raw = `Subject: Picture\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>Look: <img src="cid:pic@x" alt="it"></p>\n--b\nContent-Type: image/png\nContent-ID: <pic@x>\nContent-Transfer-Encoding: base64\n\n${body}\n--b--\n`;
    await send(office.server, [BOB], Buffer.from(raw));
    const page = await office.open(BOB);
    await page.getByText("Picture").first().click();
    const image = page.frameLocator("iframe").locator("img");
    await image.waitFor();
    await expect
      .poll(() => image.evaluate((element) => (element as unknown as { naturalWidth: number }).naturalWidth))
      .toBe(1);
    expect(await page.textContent("main")).not.toContain("Remote content is blocked");
    await page.context().close();
  });
});
