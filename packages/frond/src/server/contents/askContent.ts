// The main thread's way to content.ts: a thread for each question, which are few and far between.

import { Worker } from "node:worker_threads";
import type { ContentQuestions } from "./content.ts";
import { Asking } from "../threadCalls.ts";

/** Asks about a database file that nobody else uses. Rejects with BAD_CONTENT. */
export async function askContent<K extends keyof ContentQuestions>(
  name: K,
  file: string,
): Promise<ReturnType<ContentQuestions[K]>> {
  const worker = new Worker(new URL(`./contentThread${EXTENSION}`, import.meta.url), {
    name: "frond content",
    // Options of the main thread (--import, --test) are not for it.
    execArgv: [],
  });
  try {
    return (await new Asking<ContentQuestions, never>(worker, () => {}).ask(name, file)) as ReturnType<
      ContentQuestions[K]
    >;
  } finally {
    await worker.terminate();
  }
}

/** The workspace runs the sources, a published package what was compiled from them. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
