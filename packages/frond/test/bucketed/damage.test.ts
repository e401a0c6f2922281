// Every kind of object in the bucket: missing, cut, with a bit that has changed, or another object at its key. A node that begins on
// an empty disk serves what does not need the object, right, and tells of the rest which object is wrong.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import os from "node:os";
import { rootAddress, slotOf } from "../../src/address.ts";
import type { Bucket } from "../../src/bucket/bucket.ts";
import {
  baseKey,
  checkpointPrefix,
  fileKey,
  leaseKey,
  logKey,
  packKey,
  slotPrefix,
} from "../../src/bucket/objectKeys.ts";
import { openBucket } from "../../src/bucket/open.ts";
import { Cell } from "../../src/cell/cell.ts";
import { encodeDocument } from "../../src/codec/documents.ts";
import { FrondError } from "../../src/errors.ts";
import { makePack } from "../../src/log/pack.ts";
import type { Part } from "../../src/log/cover.ts";
import { SlotHistories } from "../../src/server/slots/slotHistory.ts";
import { writeCheckpoint } from "../../src/store/checkpoint.ts";
import { writeSnapshot } from "../../src/store/snapshot.ts";
import type { RunId, RunNumber, Seq, Slot } from "../../src/types.ts";
import { frond } from "../../src/cell/app.ts";
import type { Get } from "../../src/cell/stub.ts";
import type { Node } from "../../src/server/node.ts";
import { openNode } from "../../src/server/openNode.ts";
import { Session } from "../../src/server/door/session.ts";

const TTL = 3_000;

class Book extends Cell {
  static override migrations = ["CREATE TABLE line (text TEXT NOT NULL) STRICT"];
  add(text: string) {
    this.sql`INSERT INTO line VALUES (${text})`;
  }
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line ORDER BY rowid`.map(({ text }) => text);
  }
  async keep(text: string) {
    return (await this.files.put(text)).hash;
  }
  async kept() {
    const [file] = this.files.list();
    return file && (await (await this.files.get(file.hash))?.text());
  }
}

/** Written by both runs, with a checkpoint behind both but for `bare`; `old`: by the first run alone. */
const NAMES = ["old", "bare", "checked", "large", "file", "plain"] as const;
type Name = (typeof NAMES)[number];

const TRUTH: Readonly<Record<Name, readonly string[]>> = {
  bare: ["bare 1", "bare 2"],
  checked: ["checked 1", "checked 2"],
  large: ["large 1", "large 2"],
  file: ["file 1", "file 2", "content of the file"],
  plain: ["plain 1", "plain 2", "another content"],
  old: ["old 1"],
};

/** What a cell says, with its file. */
async function told({ get }: Opened, name: Name): Promise<string[]> {
  const lines = await get(Book, name).all();
  const file = await get(Book, name).kept();
  return file === undefined ? lines : [...lines, file];
}

/** A run that has left nothing but its lease. */
const DEAD = "0123456789abcdef0123456789abcdef" as RunId;

function leaseOf(run: RunId): Buffer {
  const facts = { counter: 7, ttlMs: TTL, startedMs: 1, writtenMs: 2, host: "a machine", pid: 3, version: "0.1.0" };
  return encodeDocument({ run, ...facts });
}

const slotOfBook = (name: Name): Slot => slotOf(rootAddress("book", name));

let home: string;
/** Keys by kind of object: the one that is damaged, and a sound one of another key. */
let keys: ReadonlyMap<string, readonly [string, string]>;

/** What is used of an open node. */
interface Opened {
  readonly node: Node;
  readonly get: Get;
  readonly fatal: unknown[];
}

async function open(disk: string, folder: string): Promise<Opened> {
  const fatal: unknown[] = [];
  const node = await openNode({
    app: frond({ cells: { book: Book } }),
    dataDirectory: path.join(home, disk),
    durability: "disk",
    log: { info() {}, warn() {}, error() {} },
    logFileBytes: 1024 * 1024,
    bucket: { url: `dir:${path.join(home, folder)}` },
    ttlMs: TTL,
    onFatal: (error) => fatal.push(error),
  });
  return { node, get: node.host.stubs.getFor(new Session()), fatal };
}

async function written({ get, node }: Opened, name: Name, text: string): Promise<void> {
  await get(Book, name).add(text);
  await new Promise<void>((done) => node.commitLog.waitConfirmed(node.commitLog.appended, done));
}

/** Writes a checkpoint of a slot, its cells in snapshots if so. Returns their keys. */
async function checkpoint(bucket: Bucket, name: Name): Promise<string | undefined> {
  const slot = slotOfBook(name);
  const histories = new SlotHistories(bucket);
  const record = await histories.newest(slot);
  if (record === undefined) throw new Error("nobody owns the slot");
  const { epoch, run, from, sources } = record;
  const to = await histories.sealOf(run);
  const index = await histories.read(slot, [...sources, { epoch, run, from, to }], undefined);
  const options = { runId: run, breathe: async () => {}, temporary: path.join(home, "pages") };
  const [cell] = [...index.cells.values()];
  if (cell === undefined) throw new Error(`${name} is not in its slot`);
  const { entry, places } = cell;
  const snapshot = name === "large" ? await writeSnapshot(bucket, { entry, places }, options) : undefined;
  const base = snapshot === undefined ? undefined : { epoch: entry.epoch, txid: entry.txid };
  const whole = { entry, places: base === undefined ? places : [], base };
  const plan = { slot, epoch, seq: to, at: index.at, lastMs: index.lastMs, run: 1 as RunNumber, cells: [whole] };
  await writeCheckpoint(bucket, plan, options);
  return snapshot;
}

/** Two runs, each cell's commits in segments of their own; of the first a pack, and its first segment is not there any more. */
beforeAll(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "frond-damage-"));
  const runs: RunId[] = [];
  for (const run of [1, 2]) {
    const opened = await open(`disk ${run}`, "bucket");
    runs.push(opened.node.recovered.runId.toString("hex") as RunId);
    for (const name of NAMES) if (run === 1 || name !== "old") await written(opened, name, `${name} ${run}`);
    if (run === 1) await opened.get(Book, "file").keep("content of the file");
    if (run === 1) await opened.get(Book, "plain").keep("another content");
    await opened.node.stop();
  }
  const bucket = await openBucket(`dir:${path.join(home, "bucket")}`);
  const [one, two] = runs as [RunId, RunId];
  const histories = new SlotHistories(bucket);
  const [sealOne, sealTwo] = [await histories.sealOf(one), await histories.sealOf(two)];
  const parts = Array.from({ length: sealOne - 1 }, (_, i): Part => {
    const [from, to] = [(i + 1) as Seq, (i + 2) as Seq];
    return { kind: "segment", key: logKey(one, from), run: one, from, to };
  });
  const pack = packKey(one, 1 as Seq, sealOne);
  await bucket.put(pack, (await makePack(bucket, parts)) as Buffer);
  await bucket.put("foreign/pack", (await makePack(bucket, parts.slice(0, 3))) as Buffer);
  await bucket.put("foreign/lease", leaseOf("f".repeat(32) as RunId));
  await bucket.put("node/readme", Buffer.from("so that there is a folder"));
  let snapshot = "";
  for (const name of NAMES) if (name !== "bare") snapshot = (await checkpoint(bucket, name)) ?? snapshot;
  await bucket.put(baseKey(one, 2 as Seq), Buffer.from("cut\n"));
  await bucket.delete([logKey(one, 1 as Seq)]);
  // As clean-up leaves it: of each slot the newest record.
  for (const name of NAMES) {
    const records = await bucket.list(slotPrefix(slotOfBook(name)));
    await bucket.delete(records.slice(0, -1).map(({ key }) => key));
  }
  const last = async (prefix: string): Promise<string> => (await bucket.list(prefix)).at(-1)?.key as string;
  const record = (name: Name): Promise<string> => last(slotPrefix(slotOfBook(name)));
  const checkpointOf = (name: Name): Promise<string> => last(checkpointPrefix(slotOfBook(name)));
  const file = (content: string): string => fileKey(createHash("sha256").update(content).digest("hex"));
  keys = new Map([
    ["cluster document", ["cluster", await record("checked")]],
    ["lease", [leaseKey(DEAD), "foreign/lease"]],
    ["slot record", [await record("checked"), await record("bare")]],
    ["segment", [logKey(two, 1 as Seq), logKey(two, 2 as Seq)]],
    ["seal", [logKey(two, sealTwo), logKey(one, sealOne)]],
    ["pack", [pack, "foreign/pack"]],
    ["checkpoint", [await checkpointOf("checked"), await checkpointOf("plain")]],
    ["snapshot", [snapshot, await checkpointOf("plain")]],
    ["file", [file("content of the file"), file("another content")]],
    ["base marker", [baseKey(one, 2 as Seq), "cluster"]],
  ]);
});

afterAll(() => fs.rmSync(home, { recursive: true, force: true }));

/** Cells that need the object; others must never notice. `start`: nobody can do without it. */
const KINDS: readonly { kind: string; start?: true; needs: readonly Name[]; without?: "right" }[] = [
  { kind: "cluster document", start: true, needs: [] },
  { kind: "lease", start: true, needs: [], without: "right" },
  { kind: "slot record", needs: ["checked"] },
  { kind: "segment", needs: ["bare"] },
  // Where it is missing the log ends there all the same.
  { kind: "seal", needs: ["bare", "checked", "large", "file", "plain"], without: "right" },
  // What it was made of is there.
  { kind: "pack", needs: ["bare"], without: "right" },
  { kind: "checkpoint", needs: ["checked"], without: "right" },
  { kind: "snapshot", needs: ["large"] },
  { kind: "file", needs: ["file"] },
  // Its key says everything.
  { kind: "base marker", needs: [] },
];

/** What is done to the object. In `flipped` the place is a share of its bytes. */
const DAMAGES: readonly { damage: string; to: (file: string, other: string) => void; harmless?: true }[] = [
  { damage: "missing", to: (file) => fs.rmSync(file) },
  { damage: "cut", to: (file) => fs.truncateSync(file, fs.statSync(file).size >> 2) },
  { damage: "of another key", to: (file, other) => fs.copyFileSync(other, file) },
  // A bit of padding, or of a field that nobody reads, may change.
  ...[0.02, 0.3, 0.6, 0.97].map((place) => ({
    damage: `with another bit at ${place}`,
    to: (file: string) => {
      const bytes = fs.readFileSync(file);
      const at = Math.floor(bytes.length * place);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
      fs.writeFileSync(file, bytes);
    },
    harmless: true as const,
  })),
];

const CODES = ["OBJECT_DAMAGED", "OBJECT_NEWER", "CELL_DAMAGED", "FILE_MISSING", "DATA_FOREIGN"];

function expectTyped(error: unknown, key: string, what: string): void {
  expect(error, what).toBeInstanceOf(FrondError);
  const { code, message } = error as FrondError;
  expect(CODES, `${what}: ${message}`).toContain(code);
  // Of a slot without records the folder is named, of a file its hash.
  const named = key.startsWith("slot/") ? key.slice(0, "slot/0000/".length) : key.replace(/^files\//, "");
  expect(message, what).toContain(named);
}

let count = 0;
const cases = KINDS.flatMap((kind) => DAMAGES.map((damage) => ({ ...kind, ...damage })));

test.each(cases)("$kind $damage", async ({ kind, damage, start, needs, without, to, harmless }) => {
  const [key, other] = keys.get(kind) as readonly [string, string];
  const folder = `copy ${count++}`;
  fs.cpSync(path.join(home, "bucket"), path.join(home, folder), { recursive: true });
  const file = path.join(home, folder, key);
  if (kind === "lease") fs.writeFileSync(file, leaseOf(DEAD));
  const sound = fs.readFileSync(file);
  to(file, path.join(home, folder, other));
  const mayBeRight =
    harmless === true || (start !== true && needs.length === 0) || (damage === "missing" && without === "right");
  let opened: Opened;
  try {
    opened = await open(`disk of ${folder}`, folder);
    const { node } = opened;
    onTestFinished(() => node.stop(0));
  } catch (error) {
    expect(start, `${(error as Error).stack}`).toBe(true);
    expectTyped(error, key, "the start");
    return;
  }
  expect(start === true && !mayBeRight).toBe(false);
  const wrong: Name[] = [];
  for (const name of NAMES) {
    try {
      expect(await told(opened, name), name).toEqual(TRUTH[name]);
    } catch (error) {
      if (!needs.includes(name)) throw error;
      expectTyped(error, key, name);
      wrong.push(name);
    }
  }
  if (!mayBeRight) expect(wrong).toEqual(needs);
  expect(opened.fatal).toEqual([]);
  // Somebody brings it back.
  if (wrong.length > 0) fs.writeFileSync(file, sound);
  for (const name of wrong) expect(await told(opened, name), `${name}, afterwards`).toEqual(TRUTH[name]);
  await opened.node.stop();
});
