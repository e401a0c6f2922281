// One S3 server for all test files of a run, started when the first of them asks for it.
//
// `const missing = need("radosgw") === undefined`, then `await sharedRadosgw()` where tests that need it are not skipped.
//
// Rule: vitest calls the default export once, in its main process, which lives as long as the run; test files are processes of their
// own and ask it through a port. The cluster's keeper (radosgw.ts) has a pipe from that process as its input, so the
// cluster goes when the run does, killed or not.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import readline from "node:readline";
import { text } from "node:stream/consumers";
import type { Radosgw } from "./radosgw.ts";

const PORT = "FROND_TEST_RADOSGW_PORT";

/** Called by vitest before the first test; what it returns, after the last. */
export default async function setup(): Promise<() => Promise<void>> {
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
  await once(server.listen(0, "127.0.0.1"), "listening");
  process.env[PORT] = String((server.address() as net.AddressInfo).port);
  return async () => {
    server.close();
    if (keeper === undefined || keeper.exitCode !== null) return;
    keeper.stdin?.end();
    await once(keeper, "exit");
  };
}

/** The S3 server of this run; starts it if nobody has. Throws when it does not start. */
export async function sharedRadosgw(): Promise<Radosgw> {
  const port = process.env[PORT];
  if (port === undefined) throw new Error("radosgwShared.ts is no globalSetup of this run of vitest");
  const answer = JSON.parse(await text(net.connect(Number(port), "127.0.0.1"))) as Radosgw & { failure?: string };
  if (answer.failure !== undefined) throw new Error(`radosgw: ${answer.failure}`);
  return answer;
}
