// A thread that writes a log, for tests that read it at the same time. What is durable it tells through shared memory.

import { workerData } from "node:worker_threads";
import { commitLength, encodeCommit } from "../../src/codec/record.ts";
import { CommitLog } from "../../src/log/log.ts";
import type { RunNumber, Txid } from "../../src/types.ts";
import { cellOf, sampleCommit } from "../codec/samples.ts";

const { folder, records, fileBytes, durable } = workerData as {
  folder: string;
  records: number;
  fileBytes: number;
  durable: BigInt64Array;
};

const log = new CommitLog({
  folder,
  run: 1 as RunNumber,
  firstFile: 1,
  fileBytes,
  onFailed(error) {
    throw error;
  },
});
for (let txid = 1; txid <= records; txid++) {
  const numbers = Array.from({ length: 1 + (txid % 7) }, (_, i) => i + 1);
  const cells = [cellOf("book/a", 512, numbers.length, numbers)];
  const record = { ...sampleCommit(), txid: txid as Txid, cells, changes: [] };
  const at = log.begin(commitLength(record));
  log.end(at, encodeCommit(record, log.target, at));
  if (txid % 5 > 0) continue;
  await new Promise(setImmediate);
  Atomics.store(durable, 0, BigInt(log.durable));
}
await log.close();
Atomics.store(durable, 0, BigInt(log.durable));
Atomics.store(durable, 1, 1n);
