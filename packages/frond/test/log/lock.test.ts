// One node for a data directory: the lock between processes, and what is left of it when its holder is killed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { isFrondError } from "../../src/errors.ts";
import { openDirectory } from "../../src/server/folder.ts";
import { lockDirectory } from "../../src/store/lock.ts";
import { temporaryDirectory } from "../cell/nodes.ts";

const LOCK = fileURLToPath(new URL("../../src/store/lock.ts", import.meta.url));

/** A process that holds the lock of a directory until it is killed. */
async function holder(directory: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const code = `const { lockDirectory } = await import(${JSON.stringify(LOCK)});
    lockDirectory(process.argv[1]);
    await new Promise((resolve) => setImmediate(resolve));
    // Nobody here keeps what was returned: the lock is the process's, and no matter of memory.
    globalThis.gc(); await new Promise((resolve) => setImmediate(resolve));
    console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", code, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await once(child, "close");
  };
  return { pid: child.pid ?? 0, kill };
}

function refusal(directory: string): string {
  try {
    lockDirectory(directory).release();
    return "";
  } catch (error) {
    if (isFrondError(error, "DATA_LOCKED")) return error.message;
    throw error;
  }
}

test("a second process is refused with the number of the first, and let in once that was killed", async () => {
  const directory = temporaryDirectory();
  const first = await holder(directory);
  const refused = refusal(directory);
  expect(refused).toContain(`process ${first.pid}`);
  expect(refused).toContain("--data");
  expect(refusal(directory)).not.toBe("");
  await first.kill();
  expect(refusal(directory)).toBe("");
});

test("a second lock in the same process is refused too, and release lets go", () => {
  const directory = temporaryDirectory();
  const lock = lockDirectory(directory);
  expect(refusal(directory)).toContain(`process ${process.pid}`);
  lock.release();
  expect(refusal(directory)).toBe("");
});

test("whoever is refused has changed nothing in the directory", async () => {
  const directory = temporaryDirectory();
  await holder(directory);
  const before = fs.readdirSync(directory).sort();
  expect(() => openDirectory(directory)).toThrow(/is in use/);
  expect(fs.readdirSync(directory).sort()).toEqual(before);
});

test("a start that was killed while it wrote down the format does not keep the next one out", () => {
  const directory = temporaryDirectory();
  fs.writeFileSync(path.join(directory, "frond.json.new"), '{"format":');
  openDirectory(directory).release();
  openDirectory(directory).release();
  expect(JSON.parse(fs.readFileSync(path.join(directory, "frond.json"), "utf8"))).toMatchObject({ format: 1 });
});

test("a garbled lock file is named, with what to do", () => {
  const directory = temporaryDirectory();
  fs.writeFileSync(path.join(directory, "lock.db"), "no database at all ".repeat(100));
  expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ code: "DATA_DAMAGED" }));
  expect(() => lockDirectory(directory)).toThrow(/lock\.db is damaged.*delete it/);
});
