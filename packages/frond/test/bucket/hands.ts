// Other processes that work on a bucket: they claim keys and overwrite objects when a test says so.

import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { openBucket, type BucketOptions } from "../../src/bucket/open.ts";
import { createUntilKnown } from "../../src/bucket/createUntilKnown.ts";

type Order =
  | { readonly do: "claim"; readonly key: string; readonly many: number }
  | { readonly do: "overwrite" | "churn"; readonly key: string; readonly many: number };
type Claimed = { readonly id: string; readonly won: boolean };
type Answer = { readonly claimed?: Claimed[]; readonly failure?: string };

/** One such process. */
export interface Hands {
  /** Claims a key `many` times at once. */
  claim(key: string, many: number): Promise<Claimed[]>;
  /** Writes the versions 1 to `many` of an object, one after the other. */
  overwrite(key: string, many: number): Promise<void>;
  /** Creates and deletes `many` objects of its own below a folder, one after the other. */
  churn(folder: string, many: number): Promise<void>;
  end(): void;
}

/** Starts a process that has the bucket open. */
export async function startHands(url: string, options: BucketOptions): Promise<Hands> {
  const child = fork(new URL(import.meta.url).pathname, [url, JSON.stringify(options)], { stdio: "inherit" });
  const answer = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`the process ended with ${code}`));
      child.once("exit", onExit);
      child.once("message", (message) => {
        child.off("exit", onExit);
        resolve(message as Answer);
      });
    });
  await answer();
  const ask = async (order: Order): Promise<Answer> => {
    const answered = answer();
    child.send(order);
    const got = await answered;
    if (got.failure !== undefined) throw new Error(got.failure);
    return got;
  };
  return {
    claim: async (key, many) => (await ask({ do: "claim", key, many })).claimed ?? [],
    overwrite: async (key, many) => void (await ask({ do: "overwrite", key, many })),
    churn: async (folder, many) => void (await ask({ do: "churn", key: folder, many })),
    end: () => void child.kill(),
  };
}

/** The content of a claim: begins with its id. */
export function idBytes(id: string): Buffer {
  return Buffer.from(id.padEnd(600, "."));
}

/** Version `version` of an object: its own byte over and over, each version of another length. */
export function versionOf(version: number): Buffer {
  return Buffer.alloc(100_000 + 1_000 * version, version);
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** See {@link Hands}; throws when a create or a deletion was disturbed. */
export async function churn(bucket: Bucket, folder: string, many: number): Promise<void> {
  for (let turn = 0; turn < many; turn++) {
    const key = `${folder}/${randomUUID()}`;
    const said = await bucket.create(key, idBytes(key));
    if (said !== "created") throw new Error(`the create of ${key} said ${said}`);
    if ((await bucket.get(key)) === undefined) throw new Error(`${key} was created, and is not there`);
    await bucket.delete([key]);
  }
}

async function work(url: string, options: BucketOptions): Promise<void> {
  const bucket = await openBucket(url, options);
  const claim = async (key: string): Promise<Claimed> => {
    const id = `${process.pid}-${randomUUID()}`;
    const { outcome } = await createUntilKnown(bucket, key, idBytes(id), { sleep });
    return { id, won: outcome === "created" };
  };
  const obey = async (order: Order): Promise<Answer> => {
    if (order.do === "claim") {
      return { claimed: await Promise.all(Array.from({ length: order.many }, () => claim(order.key))) };
    }
    if (order.do === "churn") await churn(bucket, order.key, order.many);
    else for (let version = 1; version <= order.many; version++) await bucket.put(order.key, versionOf(version));
    return {};
  };
  process.on("message", (order: Order) => {
    obey(order).then(
      (answer) => process.send?.(answer),
      (error: unknown) => process.send?.({ failure: String(error) } satisfies Answer),
    );
  });
  process.on("disconnect", () => process.exit());
  process.send?.({} satisfies Answer);
}

if (import.meta.main) {
  const [url = "", options = "{}"] = process.argv.slice(2);
  await work(url, JSON.parse(options) as BucketOptions);
}
