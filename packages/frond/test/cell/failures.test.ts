// Failures of the runtime: a commit that the log did not take never happened, and its cell is made anew from the log.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { MAX_COMMIT_BYTES } from "../../src/limits.ts";
import { diskIo } from "../../src/log/io.ts";
import type { LogIo } from "../../src/log/io.ts";
import { codeOf, commitsIn, failureOf, openCells, reopen } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Heap extends Cell {
  static override migrations = ["CREATE TABLE blob (b BLOB) STRICT"];
  static override pageSize = 65_536;
  field = "fresh";

  put(bytes: number) {
    this.field = "used";
    this.sql`INSERT INTO blob VALUES (${new Uint8Array(bytes)})`;
  }
  fill() {
    // Just below the limit of one value, often enough to be above that of one commit.
    for (let i = 0; i < 5; i++) this.put(MAX_COMMIT_BYTES / 4);
  }
  async fillInStretch(swallow: boolean) {
    this.put(1);
    await turn();
    this.fill();
    await turn();
    try {
      this.put(2);
    } catch (error) {
      if (!swallow) throw error;
    }
    return "unheard";
  }
  async fillInTransaction() {
    await turn();
    try {
      this.transaction(() => this.fill());
    } catch (error) {
      return (error as { code: string }).code;
    }
    return "nothing";
  }
  async bystander(until: number) {
    this.put(3);
    for (let i = 0; i < until; i++) await turn();
    this.put(4);
  }
  rows() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM blob`.n;
  }
  state() {
    return this.field;
  }
}

async function heap() {
  const opened = await openCells({ heap: Heap });
  return { ...opened, a: opened.get(Heap, "a") };
}

test("a commit that is too large is taken back, and the next call sees the cell as the log has it", async () => {
  const { a, ...opened } = await heap();
  await a.put(100);
  const failure = await failureOf(a.fill());
  expect(failure).toMatchObject({ code: "RECORD_TOO_LARGE", retryable: false, remote: true });
  expect(await a.rows()).toBe(1);
  // The instance was discarded with the file.
  expect(await a.state()).toBe("fresh");
  await a.put(100);
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "heap/a")).toHaveLength(2);
  expect(await (await reopen(opened, { heap: Heap })).get(Heap, "a").rows()).toBe(2);
  expect(opened.fatal).toEqual([]);
});

test("a cell that does not exist yet is gone again when its first commit is too large", async () => {
  const { a, node, directory } = await heap();
  expect(await codeOf(a.fill())).toBe("RECORD_TOO_LARGE");
  expect(await a.rows()).toBe(0);
  await node.commitLog.flushed();
  expect(commitsIn(directory)).toEqual([]);
  await a.put(1);
  expect(await a.rows()).toBe(1);
});

test("in an async verb the failure is the answer, and what was committed before stays", async () => {
  for (const swallow of [true, false]) {
    const { a } = await heap();
    expect(await codeOf(a.fillInStretch(swallow))).toBe("RECORD_TOO_LARGE");
    expect(await a.rows()).toBe(1);
  }
  const { a } = await heap();
  await a.put(1);
  // The verb itself sees it where it asked for all or nothing; the cell is gone for it all the same.
  expect(await a.fillInTransaction()).toBe("RECORD_TOO_LARGE");
  expect(await a.rows()).toBe(1);
});

test("verbs that ran in a discarded instance fail at their next statement with COMMIT_FAILED", async () => {
  const { a } = await heap();
  const bystander = failureOf(a.bystander(3));
  await failureOf(a.fill());
  expect(await bystander).toMatchObject({ code: "COMMIT_FAILED", retryable: true });
  expect(await a.rows()).toBe(1);
});

test("when the log cannot be written the node ends and nothing more is acknowledged", async () => {
  let broken = false;
  const io: LogIo = {
    ...diskIo,
    append(fd, bytes, length, position, done) {
      if (broken) return done(Object.assign(new Error("input/output error"), { code: "EIO" }));
      return diskIo.append(fd, bytes, length, position, done);
    },
  };
  const opened = await openCells(
    { heap: Heap },
    { io, fetch: async (_, { get }) => Response.json((await get(Heap, "a").put(1)) ?? null) },
  );
  const request = () => opened.node.handle(new Request("http://test/"), { remoteAddress: "" });
  expect((await request()).status).toBe(200);
  broken = true;
  let answered = false;
  void request().finally(() => {
    answered = true;
  });
  await turn();
  await turn();
  expect(opened.fatal).toHaveLength(1);
  expect(opened.fatal[0]).toMatchObject({ code: "LOG_FAILED" });
  expect(opened.node.state()).toMatchObject({ ready: false });
  await turn();
  expect(answered).toBe(false);
  expect(await codeOf(opened.get(Heap, "a").put(1))).toBe("LOG_FAILED");
});
