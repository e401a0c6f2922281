// A bucket of the torture in a real object store: a new one in a server that somebody has started, behind a network that can fail.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import readline from "node:readline";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { Bucket } from "../bucket/bucket.ts";
import { openBucket } from "../bucket/open.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import type { BucketPlace, Outage } from "./bucketPlace.ts";
import type { Random } from "./random.ts";
import { TcpProxy } from "./tcpProxy.ts";

/** A running store, and who may use it. */
export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  readonly owner: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** See the head of the file. */
export class S3Place implements BucketPlace {
  readonly spec: BucketSpec;
  readonly outages: readonly Outage[] = ["cut", "silent"];
  readonly #direct: BucketSpec;
  readonly #proxy: TcpProxy;

  /** Makes the bucket. The credentials stand in the environment from then on, as on a server. */
  static async make({ endpoint, region, owner }: S3Server): Promise<S3Place> {
    process.env["AWS_ACCESS_KEY_ID"] = owner.accessKeyId;
    process.env["AWS_SECRET_ACCESS_KEY"] = owner.secretAccessKey;
    const name = `torture-${randomBytes(6).toString("hex")}`;
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: owner });
    await client.send(new CreateBucketCommand({ Bucket: name }));
    client.destroy();
    return new S3Place({ url: `s3://${name}/cluster`, endpoint, region }, await TcpProxy.start(endpoint));
  }

  private constructor(direct: BucketSpec, proxy: TcpProxy) {
    this.#direct = direct;
    this.#proxy = proxy;
    this.spec = { ...direct, endpoint: proxy.endpoint };
  }

  open(): Promise<Bucket> {
    const { url, ...options } = this.#direct;
    return openBucket(url, options);
  }

  begin(outage: Outage): void {
    if (outage === "cut") this.#proxy.cut();
    else this.#proxy.silence();
  }

  end(random: Random): undefined {
    this.#proxy.restore(random);
  }

  close(): void {
    this.#proxy.close();
  }
}

/** Starts a store for as long as this process lives, or until it is told to end. Throws when there is none on this machine. */
export async function startS3Server(): Promise<S3Server & { end(): Promise<void> }> {
  // The tests' own: radosgw.ts ends what it started when its input does.
  const program = path.join(import.meta.dirname, "../../test/bucket/radosgw.ts");
  const keeper = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const [line] = (await once(readline.createInterface({ input: keeper.stdout }), "line")) as [string];
  const server = JSON.parse(line) as S3Server & { failure?: string };
  if (server.failure !== undefined) throw new Error(`radosgw: ${server.failure}`);
  return {
    ...server,
    async end() {
      keeper.stdin.end();
      if (keeper.exitCode === null) await once(keeper, "exit");
    },
  };
}
