// `frond start` and its bucket, from the outside: the disk may go. On a directory and on radosgw, the real command.

import fs from "node:fs";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { need } from "../../../../test-support/need.ts";
import { Cell } from "../../src/cell/cell.ts";
import { MIN_TTL_MS } from "../../src/limits.ts";
import { makeS3Place } from "../bucket/s3Store.ts";
import { openIn, temporaryDirectory } from "../cell/nodes.ts";
import { COUNTER_APP, Folder, frond, type Result, Running } from "./command.ts";

const SAFE_APP = COUNTER_APP.replace(
  "export class Counter extends Cell {",
  '$& static override durability = "bucket" as const;',
);

/** A bucket, as the command line names it. */
interface Place {
  readonly args: readonly string[];
  readonly env: Record<string, string>;
}

async function onDirectory(): Promise<Place> {
  return { args: ["--bucket", `dir:${path.join(temporaryDirectory(), "bucket")}`], env: {} };
}

async function onRadosgw(): Promise<Place> {
  const { url, options, server } = await makeS3Place();
  const { accessKeyId, secretAccessKey } = server.owner;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return { args: ["--bucket", url, "--s3-endpoint", options.endpoint as string], env };
}

class Machine {
  readonly folder: Folder;

  constructor(app?: string) {
    this.folder = new Folder(app);
    onTestFinished(() => this.folder.remove());
  }

  start(args: readonly string[], env: Record<string, string> = {}): Running {
    const running = new Running(this.folder, ["start", "app.ts", "--listen", "0", ...args], env);
    onTestFinished(() => void running.child.kill("SIGKILL"));
    return running;
  }

  /** A start that is refused. */
  refused(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
    return frond(this.folder, ["start", "app.ts", "--listen", "0", ...args], env);
  }

  loseDisk(): void {
    fs.rmSync(this.folder.at(".frond"), { recursive: true });
  }
}

const count = async (url: string): Promise<number> => (await fetch(url)).json() as Promise<number>;

describe.each([
  ["a directory", onDirectory, false],
  ["radosgw", onRadosgw, need("radosgw") === undefined],
] as const)("a bucket in %s", (_name, makePlace, isMissing) => {
  test.skipIf(isMissing)(
    "after a stop an empty disk has everything, and the directory remembers its bucket",
    async () => {
      const { args, env } = await makePlace();
      const machine = new Machine();
      const first = machine.start(args, env);
      let url = await first.ready();
      for (const [i, name] of ["a", "b", "c"].entries()) {
        for (let n = 1; n <= i + 1; n++) expect(await count(`${url}/${name}`)).toBe(n);
      }
      expect(await first.stop()).toBe(0);
      expect(first.out).toContain(`a new cluster was made in ${args[1]}, which held none; were cells to be there`);
      machine.loseDisk();

      const second = machine.start(args, env);
      url = await second.ready();
      expect(second.out).not.toContain("a new cluster");
      expect(await count(`${url}/a`)).toBe(2);
      expect(await second.stop()).toBe(0);

      const third = machine.start([], env);
      url = await third.ready();
      expect(await Promise.all(["a", "b", "c"].map((name) => count(`${url}/${name}`)))).toEqual([3, 3, 4]);
      const { out } = await frond(machine.folder, ["status"]);
      expect(out).toContain(`bucket        ${args[1]}, `);
      expect(out).toMatch(
        /\nat risk .*\n +the loss of this disk: nothing at bucket; at disk and memory .* within the last hour/,
      );
    },
  );

  test.skipIf(isMissing)(
    "after kill -9 with its disk a start waits until the other counts as dead, says so, and serves",
    async () => {
      const { args, env } = await makePlace();
      const machine = new Machine(SAFE_APP);
      const flags = [...args, "--ttl-ms", String(MIN_TTL_MS)];
      const first = machine.start(flags, env);
      const url = await first.ready();
      for (let n = 1; n <= 3; n++) expect(await count(`${url}/a`)).toBe(n);
      await first.stop("SIGKILL");
      machine.loseDisk();

      const second = machine.start(flags, env);
      expect(await count(`${await second.ready()}/a`)).toBe(4);
      expect(second.out).toMatch(/"level":40[^\n]*another run may be alive/);
      expect(second.out).toMatch(/"level":40[^\n]*another run had ended without a word: its log is sealed/);
    },
  );

  test.skipIf(isMissing)("with its disk kept a start after kill -9 waits for nobody, and nothing is lost", async () => {
    const { args, env } = await makePlace();
    const machine = new Machine();
    const first = machine.start(args, env);
    const url = await first.ready();
    for (let n = 1; n <= 3; n++) expect(await count(`${url}/a`)).toBe(n);
    await first.stop("SIGKILL");
    const second = machine.start(args, env);
    expect(await count(`${await second.ready()}/a`)).toBe(4);
    expect(second.out).not.toMatch(/another run/);
    // What the first had not uploaded is in the bucket by now, in its name.
    expect(await second.stop()).toBe(0);
    machine.loseDisk();
    expect(await count(`${await machine.start(args, env).ready()}/a`)).toBe(5);
  });

  test.skipIf(isMissing)("a second node on it is refused, naming the first, which goes on", async () => {
    const { args, env } = await makePlace();
    const [machine, other] = [new Machine(), new Machine()];
    const flags = [...args, "--ttl-ms", String(MIN_TTL_MS)];
    const first = machine.start(flags, env);
    const url = await first.ready();
    expect(await count(`${url}/a`)).toBe(1);
    const { code, err } = await other.refused(flags, env);
    expect([code, err]).toEqual([1, expect.stringMatching(/^error BUCKET_IN_USE: .* by another node, process /)]);
    expect(err).toContain(`process ${first.child.pid} on `);
    expect(await count(`${url}/a`)).toBe(2);
    expect(await first.stop()).toBe(0);
  });

  test.skipIf(isMissing)("another bucket than the own is refused, empty or not", async () => {
    const places = [await makePlace(), await makePlace()];
    const machines = [new Machine(), new Machine()];
    for (const [i, { args, env }] of places.entries()) {
      const node = (machines[i] as Machine).start(args, env);
      expect(await count(`${await node.ready()}/a`)).toBe(1);
      expect(await node.stop()).toBe(0);
    }
    const empty = await makePlace();
    for (const [{ args, env }, has] of [
      [places[1] as Place, /holds cluster [0-9a-f]{32}/],
      [empty, /holds no cluster/],
    ] as const) {
      const { code, err } = await (machines[0] as Machine).refused(args, env);
      expect([code, err]).toEqual([1, expect.stringMatching(/^error DATA_FOREIGN: .* belongs to cluster/)]);
      expect(err).toMatch(has);
    }
  });
});

class Counter extends Cell {
  static override migrations = ["CREATE TABLE entry (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, note TEXT) STRICT"];
  add(n: number, note: string | null = null): number {
    this.sql.all`INSERT INTO entry (n, note) VALUES (${n}, ${note})`;
    return this.sql.one<{ sum: number }>`SELECT sum(n) AS sum FROM entry`.sum;
  }
}

describe("a data directory of a release without buckets", () => {
  const CELLS = ["a", "b", "c", "d"];
  /** Of text that does not compress, so that it fills several segments. */
  const note = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(48 * 1024))).toString("hex");

  /** A directory that never had a bucket, of some 10 MB: each cell counts to 25. */
  async function makeOld(directory: string): Promise<void> {
    const { node, get } = await openIn(directory, { counter: Counter });
    for (let n = 0; n < 25; n++) await Promise.all(CELLS.map((name) => get(Counter, name).add(1, note())));
    await node.stop();
    expect(JSON.parse(fs.readFileSync(path.join(directory, "frond.json"), "utf8"))).not.toHaveProperty("bucket");
  }

  test("is adopted and loses nothing, also when it is killed in the middle of that, again and again", async () => {
    const machine = new Machine();
    const data = machine.folder.at(".frond/data");
    await makeOld(data);
    const bucket = path.join(temporaryDirectory(), "bucket");
    const args = ["--bucket", `dir:${bucket}`];
    // From before there is a cluster until the last of its segments is in the bucket.
    for (const objects of [0, 2, 4]) {
      const node = machine.start(args);
      while (countObjects(bucket) < objects && node.child.exitCode === null && !node.out.includes("ready on")) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await node.stop("SIGKILL");
    }
    const adopted = machine.start(args);
    let url = await adopted.ready();
    expect(await Promise.all(CELLS.map((name) => count(`${url}/${name}`)))).toEqual([26, 26, 26, 26]);
    expect(await adopted.stop()).toBe(0);

    machine.loseDisk();
    url = await machine.start(args).ready();
    expect(await Promise.all(CELLS.map((name) => count(`${url}/${name}`)))).toEqual([27, 27, 27, 27]);
  });

  test("gets a bucket inside of itself when none is named, and is not taken into one that has cells", async () => {
    const machine = new Machine();
    const data = machine.folder.at(".frond/data");
    await makeOld(data);
    const used = path.join(temporaryDirectory(), "bucket");
    const other = new Machine().start(["--bucket", `dir:${used}`]);
    expect(await count(`${await other.ready()}/a`)).toBe(1);
    expect(await other.stop()).toBe(0);
    const { code, err } = await machine.refused(["--bucket", `dir:${used}`]);
    expect([code, err]).toEqual([1, expect.stringMatching(/^error DATA_FOREIGN: .* has cells already/)]);

    const adopted = machine.start([]);
    const url = await adopted.ready();
    expect(await count(`${url}/a`)).toBe(26);
    const { out } = await frond(machine.folder, ["status"]);
    expect(out).toMatch(/\n +the loss of this disk: everything, the bucket is in the data directory; --bucket names/);
    expect(await adopted.stop()).toBe(0);
    // All but the bucket goes.
    const kept = path.join(temporaryDirectory(), "bucket");
    fs.renameSync(path.join(data, "bucket"), kept);
    machine.loseDisk();
    expect(await count(`${await machine.start(["--bucket", `dir:${kept}`]).ready()}/d`)).toBe(26);
  });
});

/** The cluster, and what is in the logs. */
function countObjects(bucket: string): number {
  if (!fs.existsSync(path.join(bucket, "cluster"))) return 0;
  const log = path.join(bucket, "log");
  if (!fs.existsSync(log)) return 1;
  const logs = fs.readdirSync(log);
  return 1 + logs.reduce((sum, run) => sum + fs.readdirSync(path.join(log, run)).length, 0);
}
