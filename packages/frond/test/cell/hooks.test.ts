// Hooks run as verbs do: one that is declared async runs by stretches from its start.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { commitsIn, openCells } from "./nodes.ts";

class Note extends Cell {
  static override migrations = ["CREATE TABLE t (v TEXT) STRICT"];
  put(v: string) {
    this.sql`INSERT INTO t VALUES (${v})`;
  }
  async arm() {
    await this.ctx.storage.setAlarm(Date.now() - 1);
  }
  override async alarm() {
    this.transaction(() => this.put("in a transaction"));
    this.put("in the stretch behind it");
  }
}

class Plain extends Note {
  override alarm() {
    this.transaction(() => this.put("in a transaction"));
    this.put("behind it, and with it");
    return Promise.resolve();
  }
}

test("this.transaction of a hook that is declared async commits before it returns, as in a verb", async () => {
  const { node, get, directory } = await openCells({ note: Note, plain: Plain });
  const commits = async (address: string): Promise<number> => {
    await node.commitLog.flushed();
    return commitsIn(directory, address).length;
  };
  for (const [kind, type] of [
    ["note", Note],
    ["plain", Plain],
  ] as const) {
    await get(type, "a").put("made");
    await get(type, "a").arm();
    expect(await commits(`${kind}/a`)).toBe(2);
    await node.alarms.runDue();
    // The transaction, the stretch, and the alarm that is over; the sync beginning of the other is one commit.
    expect(await commits(`${kind}/a`)).toBe(kind === "note" ? 5 : 4);
  }
});
