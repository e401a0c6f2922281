// What `frond dev` warns of: an async verb that throws after a commit, and fields that a rolled-back verb leaves changed.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { openCells } from "./nodes.ts";

class Account extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  balance = 0;
  seen = new Set<string>();
  async half() {
    this.sql`INSERT INTO t VALUES ('kept')`;
    await Promise.resolve();
    throw new Error("half-way");
  }
  async nothing() {
    await Promise.resolve();
    throw new Error("before any write");
  }
  async whole() {
    this.sql`INSERT INTO t VALUES ('kept')`;
    await Promise.resolve();
  }
  change(fail: boolean) {
    this.balance += 1;
    this.seen.add(String(this.balance));
    if (fail) throw new Error("taken back");
  }
  fail() {
    throw new Error("nothing was changed");
  }
}

const cells = { account: Account };
const settle = (promise: Promise<unknown>) => promise.catch(() => {});

test("dev reports PARTIAL_COMMIT when an async verb throws after a commit", async () => {
  const { get, lines } = await openCells(cells, { dev: true });
  await settle(get(Account, "a").nothing());
  await settle(get(Account, "a").whole());
  expect(lines).toEqual([]);
  await settle(get(Account, "a").half());
  expect(lines.join()).toMatch(/Account\.half threw after 1 of its stretches had been committed.*half-way/);
});

test("dev warns when a rolled-back verb leaves fields changed, naming them", async () => {
  const { get, lines } = await openCells(cells, { dev: true });
  await settle(get(Account, "a").change(false));
  await settle(get(Account, "a").fail());
  expect(lines).toEqual([]);
  await settle(get(Account, "a").change(true));
  expect(lines.join()).toMatch(/Account\.change threw.*its fields were not: balance, seen;/);
});

test("nothing of that is looked for outside of dev", async () => {
  const { get, lines } = await openCells(cells);
  await settle(get(Account, "a").half());
  await settle(get(Account, "a").change(true));
  expect(lines).toEqual([]);
});
