// Ends in a bucket what was killed together with its disk.
//
// Rule: as a node does it that finds a dead run: the log is sealed, then the lease goes. Only the waiting is left out, which makes
// sure that the run is dead: whoever calls this has killed it.

import { setTimeout as sleep } from "node:timers/promises";
import { openBucket } from "../bucket/open.ts";
import { LogHands } from "../log/logHands.ts";
import { sealRun } from "../log/sealRun.ts";
import { listLeases, removeLeases } from "../server/runs/otherRuns.ts";

/** Ends all runs that have a lease in the bucket at `url`. None of them may live. */
export async function endKilledRuns(url: string): Promise<void> {
  const bucket = await openBucket(url);
  const failed = (what: string, error: unknown): void => {
    throw new Error(`${what} failed: ${(error as Error).message}`, { cause: error });
  };
  for (const runId of await listLeases(bucket)) {
    const wait = (ms: number): Promise<void> => sleep(ms);
    const hands = new LogHands({ bucket, runId, sleep: wait, signal: new AbortController().signal, failed });
    await sealRun(hands, runId, Date.now());
    await removeLeases(bucket, [runId], (_, message) => failed(message, undefined));
  }
}
