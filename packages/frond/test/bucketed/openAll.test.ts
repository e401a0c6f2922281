// Slots that are opened in the background: alarms of cells that the disk has never heard of fire only once their slot is open.

import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { slotOf } from "../../src/address.ts";
import { Cell } from "../../src/cell/cell.ts";
import type { Address, Slot } from "../../src/types.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";

class Clerk extends Cell {
  static override migrations = ["CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];
  async remind(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + 3_600_000);
  }
  override alarm(): void {}
}

const cells = { clerk: Clerk };
const TTL = 3000;
const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
const slotNamed = (name: string): Slot => slotOf(`clerk/${name}` as Address);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("slots that cannot be read keep none of the others from being opened, and are opened when they can", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const bucket = { url: `dir:${folder}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  for (const name of names) await first.get(Clerk, name).remind();
  await first.node.stop();
  expect(new Set(names.map(slotNamed)).size).toBe(names.length);
  const bySlot = names.toSorted((a, b) => slotNamed(a) - slotNamed(b));
  // At either end of the list, so that they come first from whichever end it is gone through.
  const damaged = [...bySlot.slice(0, 5), ...bySlot.slice(-5)];
  const sound = bySlot.slice(5, -5);
  const records = damaged.map((name) => {
    const file = fs.globSync(path.join(folder, "slot", String(slotNamed(name)).padStart(4, "0"), "*"))[0] as string;
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, Buffer.alloc(bytes.length, "x"));
    return { file, bytes };
  });

  const { node, lines } = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  await node.startServices();
  const isOpen = (name: string): boolean => node.keeper?.isOpen(slotNamed(name)) === true;
  await until(() => sound.every(isOpen));
  expect(node.alarms.held).toBe(sound.length);
  await until(() => lines.some((line) => line.includes("slot/")));
  for (const { file, bytes } of records) fs.writeFileSync(file, bytes);
  await until(() => names.every(isOpen));
  expect(node.alarms.held).toBe(names.length);
});

test("slots that were not open yet when the lease lapsed are opened by the run that comes after it", async () => {
  const folder = path.join(temporaryDirectory(), "bucket");
  const bucket = { url: `dir:${folder}` };
  const first = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  for (const name of names) await first.get(Clerk, name).remind();
  await first.node.stop();

  const { node } = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: TTL });
  fs.renameSync(folder, `${folder}-away`);
  await node.startServices();
  await until(() => node.state().refuse === "overloaded");
  fs.renameSync(`${folder}-away`, folder);
  await until(() => names.every((name) => node.keeper?.isOpen(slotNamed(name)) === true));
  expect(node.alarms.held).toBe(names.length);
});
