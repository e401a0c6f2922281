// The thread that looks through a database: see content.ts. It takes what the other threads leave.

import { type MessagePort, parentPort } from "node:worker_threads";
import { type ContentQuestions, contentSide } from "./content.ts";
import { lowerPriority } from "../priority.ts";
import { answerQuestions } from "../threadCalls.ts";

const NICE = 10;

lowerPriority(NICE);
answerQuestions<ContentQuestions>(parentPort as MessagePort, contentSide);
