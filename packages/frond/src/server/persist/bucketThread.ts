// The bucket thread: where the side of the bucket runs.
//
// Rule: it has a lower priority than the thread of the requests, so compressing and uploading take what those leave; not the
// lowest, for it renews the lease too.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { BucketSide } from "./bucketSide.ts";
import type { BucketSetup } from "./bucketTalk.ts";
import { lowerPriority } from "../priority.ts";
import { answerQuestions } from "../threadCalls.ts";

/** A quarter of the processor where the main thread wants all of it. */
const NICE = 5;

const port = parentPort as MessagePort;
const side = new BucketSide(workerData as BucketSetup, (news) => port.postMessage(news));
lowerPriority(NICE);
port.on("message", (message: unknown) => {
  if (message === "wake") side.wake();
});
answerQuestions(port, side);
