// The file thread: where the side of the files runs. It takes what the threads of the requests and of the log leave.

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { openBucket } from "../bucket/open.ts";
import { FileSide } from "./fileSide.ts";
import type { FileSetup } from "./fileTalk.ts";
import { lowerPriority } from "./priority.ts";
import { answerQuestions } from "./threadCalls.ts";

const NICE = 10;

lowerPriority(NICE);
const { bucket, spool } = workerData as FileSetup;
const { url, ...options } = bucket;
answerQuestions(parentPort as MessagePort, new FileSide(() => openBucket(url, options), spool));
