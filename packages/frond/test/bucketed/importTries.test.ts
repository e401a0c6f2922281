// A large content whose way into the bucket was not answered, and lands after another one was put in instead.

import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { FrondError } from "../../src/errors.ts";
import { MAX_COMMIT_BYTES } from "../../src/limits.ts";
import type { BucketQuestions } from "../../src/server/persist/bucketTalk.ts";
import type { Keeper } from "../../src/server/persist/keeper.ts";
import { codeOf, openIn, temporaryDirectory } from "../cell/nodes.ts";

class Book extends Cell {
  static override migrations = ["CREATE TABLE IF NOT EXISTS line (text TEXT NOT NULL) STRICT"];
  all() {
    return this.sql.all<{ text: string }>`SELECT text FROM line`.map(({ text }) => text);
  }
}

const cells = { book: Book };

function large(text: string): string {
  const file = path.join(temporaryDirectory(), `${text}.db`);
  const db = new DatabaseSync(file);
  db.exec(
    `CREATE TABLE line (text TEXT NOT NULL) STRICT; INSERT INTO line VALUES ('${text}');
     CREATE TABLE b (b BLOB); INSERT INTO b VALUES (zeroblob(${MAX_COMMIT_BYTES}))`,
  );
  db.close();
  return file;
}

test("an attempt to put in a large content that lands late changes nothing of the one that took its place", async () => {
  const bucket = { url: `dir:${path.join(temporaryDirectory(), "bucket")}` };
  const opened = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: 3_000 });
  const { control } = opened.node;
  const keeper = opened.node.keeper as Keeper;
  const ask = keeper.ask.bind(keeper);
  let late: (() => Promise<void>) | undefined;
  keeper.ask = (name, question) => {
    if (name !== "putContent" || late !== undefined) return ask(name, question);
    const { entry, file } = question as Parameters<BucketQuestions["putContent"]>[0];
    const kept = path.join(temporaryDirectory(), "kept.db");
    fs.copyFileSync(file, kept);
    late = async () => ask("putContent", { entry, file: kept });
    return Promise.reject(new FrondError("BUCKET_FAILED", "no answer came in time"));
  };
  expect(await codeOf(control.importFrom("book/a", large("first"), false))).toBe("BUCKET_FAILED");
  const { epoch, txid } = await control.importFrom("book/a", large("other"), false);
  expect({ epoch, txid }).toEqual({ epoch: 1, txid: 1 });
  await late?.();
  await opened.node.stop();
  const again = await openIn(temporaryDirectory(), cells, { bucket, ttlMs: 3_000 });
  expect(await again.get(Book, "a").all()).toEqual(["other"]);
});
