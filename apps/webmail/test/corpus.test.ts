// The whole corpus through the front doors: `npm run demo` delivers it by SMTP, then every mailbox is held against the
// envelope list, and what search finds against what is in the text. One message in eight, which is of all kinds; with
// CORPUS=all each of them.

import { spawn } from "node:child_process";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DirectoryEntry } from "../src/directory.ts";
import { corpusMessage } from "../src/demo/corpus.ts";
import { corpusPlan, type Plan } from "../src/demo/plan.ts";
import { freePort, type MailServer } from "../src/demo/server.ts";
import { smtpBytes } from "../src/demo/smtpClient.ts";
import { storedMail } from "../src/message.ts";
import { searchQuery } from "../src/query.ts";
import type { Census } from "./support/census.ts";
import { removeFolder, scratchFolder, startMail } from "./support/mail.ts";

const SAMPLE = { every: 8, said: "952 mailboxes hold 1,660 messages" };
const ALL = { every: 1, said: "5,073 mailboxes hold 13,552 messages" };
const { every, said } = process.env["CORPUS"] === "all" ? ALL : SAMPLE;
const WORDS = 20;
const SEED = 20_021_009;
const NAMES_PER_REQUEST = 250;
const DEMO = path.join(import.meta.dirname, "../src/demo.ts");

let folder: string;
beforeAll(async () => {
  folder = await scratchFolder();
});
afterAll(() => removeFolder(folder));

/** Runs the demo to its end; resolves to what it printed. */
async function demo(...options: string[]): Promise<string> {
  const ports = ["--port", String(await freePort()), "--smtp-port", String(await freePort())];
  const child = spawn(process.execPath, [
    "--conditions=frond-source",
    DEMO,
    "--once",
    "--every",
    String(every),
    "--data",
    folder,
    ...ports,
    ...options,
  ]);
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`the demo ended with ${String(code)}:\n${printed}`);
  return printed;
}

interface Letter {
  readonly identity: string;
  readonly words: ReadonlySet<string>;
  readonly recipients: readonly string[];
}

// Words as search is to see them, by other means than SQLite's: letters and digits that stand together, without case
// and without marks on the letters.
function wordsOf(text: string): Set<string> {
  const plain = text
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .normalize("NFC")
    .toLowerCase();
  return new Set(plain.match(/[\p{L}\p{N}\p{Co}]+/gu) ?? []);
}

async function readLetters(plan: Plan): Promise<Letter[]> {
  const letters: Letter[] = [];
  for (const [name, { recipients }] of plan.envelopes) {
    const mail = await storedMail(new Uint8Array(smtpBytes(corpusMessage(name))));
    const text = [mail.subject, mail.sender, mail.recipients, mail.files, mail.body].join("\n");
    letters.push({ identity: Buffer.from(mail.identity).toString("hex"), words: wordsOf(text), recipients });
  }
  return letters;
}

// Half from all different words, half from running text, where common words stand.
function sampleWords(letters: readonly Letter[]): string[] {
  let state = SEED;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
  const long = (word: string): boolean => word.length >= 3;
  const all = [...new Set(letters.flatMap(({ words }) => [...words]))].filter(long).sort();
  const sampled = new Set<string>();
  while (sampled.size < WORDS / 2) sampled.add(all[random(all.length)] as string);
  while (sampled.size < WORDS) {
    const words = [...(letters[random(letters.length)] as Letter).words].filter(long);
    const word = words[random(words.length)];
    if (word !== undefined) sampled.add(word);
  }
  return [...sampled];
}

async function census(
  server: MailServer,
  names: readonly string[],
  queries: readonly string[],
): Promise<Map<string, Census>> {
  const answers = new Map<string, Census>();
  for (let i = 0; i < names.length; i += NAMES_PER_REQUEST) {
    const body = JSON.stringify({ names: names.slice(i, i + NAMES_PER_REQUEST), queries });
    const response = await fetch(`http://${server.host}:${server.port}/`, { method: "POST", body });
    for (const [name, found] of Object.entries((await response.json()) as Record<string, Census>))
      answers.set(name, found);
  }
  return answers;
}

async function listed(server: MailServer): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const after = encodeURIComponent(entries.at(-1)?.name ?? "");
    const more = (await (
      await fetch(`http://${server.host}:${server.port}/directory?after=${after}`)
    ).json()) as DirectoryEntry[];
    if (more.length === 0) return entries;
    entries.push(...more);
  }
}

test("the demo delivers the corpus once, every mailbox has what its envelopes say, and search finds what is there", async () => {
  // In two goes, the second of which skips what the first delivered.
  expect(await demo("--limit", "1000")).toContain(`${Math.ceil(1000 / every).toLocaleString("en")} real messages`);
  expect(await demo()).toContain("were delivered by an earlier run and are skipped");
  expect(await demo()).toContain(`${said}, as many as the corpus asks for`);

  const plan = corpusPlan(Infinity, every);
  const letters = await readLetters(plan);
  const words = sampleWords(letters);
  const queries = words.map((word) => searchQuery(word) as string);
  const server = await startMail(folder, {}, path.join(import.meta.dirname, "support/census.ts"));
  try {
    const wanted = new Map<string, Letter[]>();
    for (const letter of letters) {
      for (const name of letter.recipients) wanted.set(name, [...(wanted.get(name) ?? []), letter]);
    }
    expect([...wanted].map(([name, { length }]) => [name, length]).sort()).toEqual([...plan.mailboxes].sort());
    const byName = [...wanted].map(([name, { length }]) => ({ name, messages: length }));
    expect(await listed(server)).toEqual(
      byName.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))),
    );

    const held = await census(server, [...wanted.keys()], queries);
    let total = 0;
    for (const [name, expected] of wanted) {
      const { messages, found } = held.get(name) as Census;
      expect({ name, messages: messages.sort() }).toEqual({
        name,
        messages: expected.map(({ identity }) => identity).sort(),
      });
      for (const [i, word] of words.entries()) {
        const inText = expected.filter((letter) => letter.words.has(word)).map(({ identity }) => identity);
        const finds = (found[queries[i] as string] ?? []).sort();
        expect({ word, name, finds }).toEqual({ word, name, finds: inText.sort() });
        total += inText.length;
      }
    }
    // The sample is worth something.
    expect(total).toBeGreaterThan(1000);
  } finally {
    await server.stop();
  }
}, 300_000);
