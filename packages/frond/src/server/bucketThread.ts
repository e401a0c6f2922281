// The bucket thread: where the side of the bucket runs.
//
// Rule: it has a lower priority than the thread of the requests, so compressing and uploading take what those leave; not the
// lowest, for it renews the lease too.

import os from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { BucketSide } from "./bucketSide.ts";
import type { BucketSetup } from "./bucketTalk.ts";
import { answerQuestions } from "./threadCalls.ts";

const port = parentPort as MessagePort;
const side = new BucketSide(workerData as BucketSetup, (news) => port.postMessage(news));
lowerPriority();
port.on("message", (message: unknown) => {
  if (message === "wake") side.wake();
});
answerQuestions(port, side);

/** A quarter of the processor where the main thread wants all of it. */
const NICE = 5;

/** On Linux this is the priority of the calling thread; elsewhere it would be that of the process. */
function lowerPriority(): void {
  if (process.platform !== "linux") return;
  try {
    os.setPriority(0, NICE);
  } catch {
    // A sandbox may forbid it: the thread then runs like the others.
  }
}
