// A real S3 server for the benches: the one of the tests, Ceph's gateway before a disk in memory.
//
// Rule: it lives as long as the bench wants it, and goes with it, killed or not: its keeper's input is a pipe from here. It may
// use both cores, and is a process on this machine: what it takes stands beside what the node takes.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { Radosgw } from "../packages/frond/test/bucket/radosgw.ts";
import { findTool, installCommand, TOOLS } from "../test-support/tools.ts";

/** A server that runs. */
export interface S3Server {
  readonly endpoint: string;
  /** Makes a bucket that is empty; its address. Its credentials stand in the environment of this process and its children. */
  bucket(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it. Throws, saying what to install, where it is missing. */
export async function startS3Server(): Promise<S3Server> {
  if (findTool(TOOLS.radosgw) === undefined) throw new Error(`--s3 needs radosgw: ${installCommand(TOOLS.radosgw)}`);
  const program = new URL("../packages/frond/test/bucket/radosgw.ts", import.meta.url).pathname;
  const keeper = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const [line] = (await once(createInterface({ input: keeper.stdout }), "line")) as [string];
  const { endpoint, region, owner, failure } = JSON.parse(line) as Radosgw & { failure?: string };
  if (failure !== undefined) throw new Error(failure);
  process.env["AWS_ACCESS_KEY_ID"] = owner.accessKeyId;
  process.env["AWS_SECRET_ACCESS_KEY"] = owner.secretAccessKey;
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: owner });
  return {
    endpoint,
    async bucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return `s3://${name}/bench`;
    },
    async stop() {
      client.destroy();
      keeper.stdin.end();
      if (keeper.exitCode === null) await once(keeper, "exit");
    },
  };
}
