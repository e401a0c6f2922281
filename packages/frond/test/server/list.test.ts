// The list of cells, page after page: every cell once, in one order, whether its row is in the catalog yet or not.

import { expect, test } from "vitest";
import { Cell } from "../../src/index.ts";
import { openCells } from "../cell/nodes.ts";

class Thing extends Cell {
  static override migrations = ["CREATE TABLE t (v INTEGER) STRICT"];
  touch() {
    this.sql`INSERT INTO t VALUES (1)`;
  }
}

// In UTF-16, the order of JavaScript, the characters above U+FFFF stand before those from U+E000 on; in UTF-8 behind them.
const NAMES = ["\u{1f600}", "\uff01", "a", "\u{10ffff}", "\ufffd", "\u{1f601}", "b", "\ue000"];

test("pages hold every cell once, in the order of the bytes of their names", async () => {
  const { node, get } = await openCells({ thing: Thing });
  for (const [i, name] of NAMES.entries()) {
    await get(Thing, name).touch();
    if (i === 3) await node.ledger.flush();
  }
  const ordered = NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).map((n) => `thing/${n}`);
  for (const limit of [1, 2, 3, 100]) {
    const seen: string[] = [];
    for (let after = ""; seen.length <= NAMES.length;) {
      const page = await node.control.cells(after, limit);
      if (page.length === 0) break;
      seen.push(...page.map((cell) => cell.address));
      after = seen.at(-1) as string;
    }
    expect(seen).toEqual(ordered);
  }
});
