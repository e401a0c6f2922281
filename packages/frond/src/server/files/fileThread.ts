// The file thread: where the side of the files runs. It takes what the threads of the requests and of the log leave.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { openBucket } from "../../bucket/open.ts";
import { FileSide } from "./fileSide.ts";
import { COUNTED, type FileSetup } from "./fileTalk.ts";
import { lowerPriority } from "../priority.ts";
import { answerQuestions } from "../threadCalls.ts";

const NICE = 10;

lowerPriority(NICE);
const { bucket, spool, numbers } = workerData as FileSetup;
const { url, ...options } = bucket;
const shared = new Float64Array(numbers);
const side = new FileSide(
  () => openBucket(url, options),
  spool,
  (counts) => COUNTED.forEach((name, i) => (shared[i] = counts[name])),
);
answerQuestions(parentPort as MessagePort, side);
