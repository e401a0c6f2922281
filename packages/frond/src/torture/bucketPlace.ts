// Where the bucket of the torture is, and how it gets lost to the node for a while.
//
// Rule: the node is told of its bucket as in real life, by a URL; what takes it away stands between the two, or is the disk of the
// store itself. The harness looks past all of that.

import fs from "node:fs";
import path from "node:path";
import type { Bucket } from "../bucket/bucket.ts";
import { openDirectoryBucket } from "../bucket/directory.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import type { Random } from "./random.ts";
import { SmallDisk } from "./smallDisk.ts";

/**
 * What happens for a while. `gone`: the folder of the bucket is not there; `cut`, `silent`: see tcpProxy.ts; `full bucket`, `full disk`:
 * no room in the store, or on the disk of the node.
 */
export type Outage = "gone" | "cut" | "silent" | "full bucket" | "full disk";

/** Behind these the node can do nothing at all with its bucket: its lease lapses. */
export const ABSENCES: ReadonlySet<Outage> = new Set(["gone", "cut", "silent"]);

/** See the head of the file. */
export interface BucketPlace {
  readonly spec: BucketSpec;
  /** What can happen to it. */
  readonly outages: readonly Outage[];
  /** Opens it for somebody from outside. */
  open(): Promise<Bucket>;
  begin(outage: Outage, random: Random): void;
  /** Everything is as before. Returns what is wrong with that, if anything. */
  end(random: Random): string | undefined;
  close(): void;
}

/** A bucket in a folder; on a disk of its own, which can be full, where that can be had and is wanted. */
export class FolderPlace implements BucketPlace {
  readonly spec: BucketSpec;
  readonly outages: readonly Outage[];
  readonly #folder: string;
  readonly #disk: SmallDisk | undefined;
  #outage: Outage | undefined;

  /** `home`: a folder that is not there yet. */
  constructor(home: string, small: boolean) {
    this.#disk = small ? SmallDisk.make(home) : undefined;
    this.#folder = path.join(home, "bucket");
    this.spec = { url: `dir:${this.#folder}` };
    this.outages = this.#disk === undefined ? ["gone"] : ["gone", "full bucket"];
  }

  open(): Promise<Bucket> {
    return Promise.resolve(openDirectoryBucket(this.#folder));
  }

  begin(outage: Outage, random: Random): void {
    this.#outage = outage;
    if (outage === "full bucket") this.#disk?.fill(random);
    else fs.renameSync(this.#folder, this.#aside);
  }

  end(): string | undefined {
    const outage = this.#outage;
    this.#outage = undefined;
    if (outage === "full bucket") this.#disk?.makeRoom();
    if (outage !== "gone") return undefined;
    // Who opens a folder as a bucket makes it; nobody whose bucket is elsewhere may put anything there.
    const made = fs.existsSync(this.#folder)
      ? fs.readdirSync(this.#folder, { recursive: true, withFileTypes: true })
      : [];
    if (made.some((entry) => entry.isFile())) return "a bucket was made where one was away";
    fs.rmSync(this.#folder, { recursive: true, force: true });
    fs.renameSync(this.#aside, this.#folder);
    return undefined;
  }

  close(): void {
    this.#disk?.remove();
  }

  get #aside(): string {
    return `${this.#folder}-away`;
  }
}
