// The JSON documents of the bucket: what is written is read, anything else is refused by name, and docs/formats.md shows them.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import {
  baseKey,
  checkpointKey,
  CLUSTER_KEY,
  erasureKey,
  fileKey,
  leaseKey,
  logKey,
  packKey,
  slotKey,
  positionOfSnapshot,
  snapshotKey,
} from "../../src/bucket/objectKeys.ts";
import {
  decodeCluster,
  decodeErasure,
  decodeLease,
  decodeSlot,
  encodeDocument,
  type ClusterDocument,
  type ErasureDocument,
  type LeaseDocument,
  type SlotDocument,
} from "../../src/codec/documents.ts";
import type { FrondError } from "../../src/errors.ts";
import { SLOT_HASH } from "../../src/address.ts";
import { BUCKET_INTENT_BYTES, SLOTS } from "../../src/limits.ts";
import type { Epoch, Position, RunId, Seq, Slot, Txid } from "../../src/types.ts";

const page = readFileSync(path.resolve(import.meta.dirname, "../../../../docs/formats.md"), "utf8");

/** The text under a heading, up to the next one. */
function under(heading: string): string {
  const start = page.indexOf(`# ${heading}\n`);
  expect(start, `docs/formats.md has a heading "${heading}"`).toBeGreaterThan(0);
  const end = page.indexOf("\n#", start + 1);
  return page.slice(start, end);
}

type Document = ClusterDocument | LeaseDocument | SlotDocument | ErasureDocument;
const KINDS: [string, (bytes: Uint8Array, key: string) => Document, (example: Record<string, unknown>) => string][] = [
  ["Cluster document", decodeCluster, () => CLUSTER_KEY],
  ["Lease document", decodeLease, ({ run }) => leaseKey(run as RunId)],
  ["Slot record", decodeSlot, ({ slot, epoch }) => slotKey(slot as Slot, epoch as Epoch)],
  ["Erasure", decodeErasure, (example) => erasureKey(example["hash"] as string, example as unknown as Position)],
];

const exampleOf = (heading: string): Record<string, unknown> =>
  JSON.parse(/```json\n([\s\S]*?)```/.exec(under(heading))?.[1] ?? "") as Record<string, unknown>;
const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe.each(KINDS)("%s", (heading, decode, keyOf) => {
  const key = keyOf(exampleOf(heading));

  test("what the page shows is read and written as it stands there", () => {
    const example = exampleOf(heading);
    const document = decode(bytesOf(example), key);
    const written = encodeDocument(document).toString();
    expect(written.endsWith("}\n")).toBe(true);
    expect(JSON.parse(written)).toEqual({ ...example, crc: expect.any(Number) });
    expect(Object.keys(JSON.parse(written) as object)).toEqual([...Object.keys(example), "crc"]);
    expect(decode(Buffer.from(written), key)).toEqual(document);
    expect(written.indexOf("intent")).toBeLessThan(BUCKET_INTENT_BYTES / 2);
  });

  test("its table names every field, in their order", () => {
    const rows = [...under(heading).matchAll(/^\| (`[^|]+) \|/gm)].map(([, names]) => names as string);
    const named = rows.flatMap((names) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name));
    expect(named).toEqual(Object.keys(exampleOf(heading)));
  });

  test("what lacks a field, or has another value in it, is damaged, and the message names key and field", () => {
    const example = exampleOf(heading);
    const readable = (value: object): unknown => decode(bytesOf(value), key);
    for (const name of Object.keys(example)) {
      if (name === "covered") continue;
      for (const wrong of [undefined, null, -1, 0.5, {}, "no such text \u0000".repeat(3)]) {
        const isText = typeof example[name] === "string" && !/^[0-9a-f]{32}$/.test(example[name]);
        if (name === "intent" || (isText && typeof wrong === "string")) continue;
        expect(() => readable({ ...example, [name]: wrong }), `${name} ${String(wrong)}`).toThrow(
          new RegExp(`${key} in the bucket is no document of frond: ${name}.* is wrong`),
        );
      }
    }
    expect(() => decode(Buffer.from("{"), "node/x")).toThrow(/node\/x in the bucket is not JSON/);
    expect(() => decode(Buffer.from("[]"), "node/x")).toThrow(/it is wrong/);
    expect(() => decode(Buffer.from([0xff]), "node/x")).toThrow(expect.objectContaining({ code: "OBJECT_DAMAGED" }));
  });

  test("a higher format is told as such, and fields that nobody knows are passed over", () => {
    const example = exampleOf(heading);
    const newer = bytesOf({ ...example, format: 2, slots: "?" });
    expect(() => decode(newer, "node/x")).toThrow(expect.objectContaining({ code: "OBJECT_NEWER" }));
    const more = decode(bytesOf({ ...example, more: 1 }), key);
    expect(more).toEqual(decode(bytesOf(example), key));
  });

  test("no bit of it can be another without being seen, but for those of the checksum's own name", () => {
    const document = decode(bytesOf(exampleOf(heading)), key);
    const written = encodeDocument(document);
    for (let bit = 0; bit < (written.length - 1) * 8; bit++) {
      const flipped = Buffer.from(written);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      let read: unknown;
      try {
        read = decode(flipped, key);
      } catch (error) {
        expect(["OBJECT_DAMAGED", "OBJECT_NEWER"], `bit ${bit}`).toContain((error as FrondError).code);
        continue;
      }
      expect(read, `bit ${bit}`).toEqual(document);
    }
  });

  test("at the key of another it is refused", () => {
    if (key === CLUSTER_KEY) return;
    const other = key.replace(/.$/, "0");
    expect(() => decode(bytesOf(exampleOf(heading)), other)).toThrow(`${other} in the bucket is another document`);
  });
});

describe("a slot record", () => {
  const example = exampleOf("Slot record");
  const [source] = example["sources"] as [Record<string, unknown>];
  test.each([
    ["slot", { slot: SLOTS }],
    ["before.epoch", { before: { epoch: 7, txid: 0 } }],
    ["sources\\[0\\].to", { sources: [{ ...source, to: 11 }] }],
    ["sources\\[0\\].epoch", { sources: [{ ...source, epoch: 7 }] }],
    ["sources\\[1\\].epoch", { sources: [source, { ...source, epoch: 5 }] }],
    ["covered.epoch", { covered: { epoch: 7, seq: 1 } }],
  ])("whose %s contradicts the rest is damaged", (name, changed) => {
    const read = (): unknown => decodeSlot(bytesOf({ ...example, ...changed }), "slot/0425/0000000007");
    expect(read).toThrow(new RegExp(`slot/0425/0000000007 in the bucket .*: ${name} is wrong`));
  });

  test("need not be covered", () => {
    const { covered: _, ...rest } = example;
    const document = decodeSlot(bytesOf(rest), slotKey(425 as Slot, 7 as Epoch));
    expect(document.covered).toBeUndefined();
    expect(JSON.parse(encodeDocument(document).toString())).toEqual({ ...rest, crc: expect.any(Number) });
  });
});

test("the snapshot of a content from outside has its attempt in its key", () => {
  const at = { epoch: 7 as Epoch, txid: 1204 as Txid };
  const key = snapshotKey(425 as Slot, "note%2fa", at, 0xbeef);
  expect(key).toBe("cell/0425/note%2fa/0000000007-0000000000001204-0000beef");
  expect(positionOfSnapshot(key)).toEqual(at);
  expect(positionOfSnapshot(`${key}0`)).toBeUndefined();
});

test("the page shows the keys as they are made, and the hash and slots that clusters get", () => {
  const run = "000102030405060708090a0b0c0d0e0f" as RunId;
  const [slot, epoch, seq, other, txid] = [425 as Slot, 7 as Epoch, 12 as Seq, 44 as Seq, 1204 as Txid];
  const made = [
    CLUSTER_KEY,
    leaseKey(run),
    logKey(run, seq),
    baseKey(run, seq),
    slotKey(slot, epoch),
    packKey(run, seq, other),
    checkpointKey(slot, epoch, seq),
    snapshotKey(slot, "note%2fa", { epoch, txid }),
    erasureKey("ab".repeat(32), { epoch, txid }),
    fileKey("ab".repeat(32)),
  ];
  const shown = [...under("Keys of the bucket").matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key as string);
  const digits = {
    SLOT: "0425",
    EPOCH: "0000000007",
    TXID: "0000000000001204",
    NAME: "note%2fa",
    HASH: "ab".repeat(32),
  };
  const filled = shown.map((key) => {
    const named = Object.entries(digits).reduce((text, [name, value]) => text.replace(name, value), key);
    return named
      .replace("RUN", run)
      .replace(/\b(SEQ|N)\b/, "0000000012")
      .replace(/\bN\b/, "0000000044");
  });
  expect(filled.filter((key) => !key.startsWith("probe/"))).toEqual(made);
  expect(exampleOf("Cluster document")).toMatchObject({ slots: SLOTS, hash: SLOT_HASH });
});
