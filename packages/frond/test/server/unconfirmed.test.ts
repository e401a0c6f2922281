// What is kept of closed cells while the bucket is behind, and that it does not grow with the cells that there ever were.

import { expect, test } from "vitest";
import { Unconfirmed } from "../../src/server/cells/unconfirmed.ts";
import type { Address, Lsn } from "../../src/types.ts";
import { commit, HandIo, openLog, turn } from "../log/hands.ts";

test("what the bucket has is not kept for cells that were closed", async () => {
  const io = new HandIo();
  const { log } = openLog({ io, bucket: true, fileBytes: 64 * 1024 * 1024 });
  const unconfirmed = new Unconfirmed(log);
  const address = (n: number): Address => `cell/${n}` as Address;
  let most = 0;
  for (let n = 1; n <= 20_000; n++) {
    const { lsn } = commit(log, n);
    unconfirmed.keep({ address: address(n), lastLsn: lsn, bucketLsn: 0 as Lsn });
    most = Math.max(most, unconfirmed.size);
    if (n % 100 !== 0) continue;
    await turn();
    for (const done of io.syncs.splice(0)) done();
    // Always some way behind.
    if (n % 500 === 0) log.confirm(log.durable);
  }
  expect(most).toBeLessThan(3000);
  const { lsn } = commit(log, 20_001);
  const left = { lastLsn: 0 as Lsn, bucketLsn: lsn };
  unconfirmed.keep({ address: address(1), ...left });
  expect(unconfirmed.of(address(1))).toEqual(left);
  expect(unconfirmed.of(address(2))).toBe(undefined);
});
