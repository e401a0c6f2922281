// One S3 server for all test files of a run, started when the first of them asks for it.
//
// `const missing = need("radosgw") === undefined`, then `await sharedRadosgw()` where tests that need it are not skipped.
//
// Rule: vitest calls the default export once, in its main process, which lives as long as the run; test files are processes of their
// own and ask it through a socket. The cluster's keeper (radosgw.ts) has a pipe from that process as its input, so the
// cluster goes when the run does, killed or not.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { text } from "node:stream/consumers";
import type { Radosgw } from "./radosgw.ts";

const SOCKET = "FROND_TEST_RADOSGW";

/** Called by vitest before the first test; what it returns, after the last. */
export default function setup(): () => Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-shared-"));
  const socket = path.join(folder, "s");
  let keeper: ChildProcess | undefined;
  let answer: Promise<string> | undefined;
  const start = (): Promise<string> => {
    const program = new URL("radosgw.ts", import.meta.url).pathname;
    keeper = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"], detached: true });
    const lines = readline.createInterface({ input: keeper.stdout as NodeJS.ReadableStream });
    const ended = once(keeper, "exit").then(() => JSON.stringify({ failure: "the keeper of the cluster ended" }));
    return Promise.race([once(lines, "line").then(([line]) => String(line)), ended]);
  };
  const server = net.createServer((connection) => {
    connection.on("error", () => undefined);
    answer ??= start();
    void answer.then((line) => connection.end(line));
  });
  server.listen(socket);
  process.env[SOCKET] = socket;
  return async () => {
    server.close();
    fs.rmSync(folder, { recursive: true, force: true });
    if (keeper === undefined || keeper.exitCode !== null) return;
    keeper.stdin?.end();
    await once(keeper, "exit");
  };
}

/** The S3 server of this run; starts it if nobody has. Throws when it does not start. */
export async function sharedRadosgw(): Promise<Radosgw> {
  const socket = process.env[SOCKET];
  if (socket === undefined) throw new Error("radosgwShared.ts is no globalSetup of this run of vitest");
  const answer = JSON.parse(await text(net.connect(socket))) as Radosgw & { failure?: string };
  if (answer.failure !== undefined) throw new Error(`radosgw: ${answer.failure}`);
  return answer;
}
