// What the frame around each page of a mailbox shows.

import type { Place } from "./folders.ts";
import type { BoxFrame } from "./views/shell.ts";
import { textParameter, type Visit } from "./visit.ts";

/** The frame of a page; `place`: the folder that it shows, if it is one. */
export async function boxFrame({ name, mailbox, url }: Visit, title: string, place?: Place): Promise<BoxFrame> {
  return { name, title, counts: await mailbox.counts(), place, typed: textParameter(url, "q") };
}
