// A PostgreSQL of the bench's own, in a temporary directory, reached over a Unix socket only.
//
// Rule: the machine's own clusters are never touched, and nothing listens on a network port. PostgreSQL refuses to run
// as root, so then it runs as the user that Debian's package made.

import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { startServer } from "./processes.ts";

const MISSING = "PostgreSQL is not installed: apt-get install -y postgresql";

/** A running PostgreSQL. `directory` holds its socket. */
export interface Postgres {
  readonly directory: string;
  readonly version: string;
  /** Stops it and removes its directory. */
  stop(): Promise<void>;
}

/** Starts PostgreSQL with its defaults below `parent`, which its user must be able to enter. */
export async function startPostgres(parent: string): Promise<Postgres> {
  const bin = findBin();
  const user = process.getuid?.() === 0 ? { uid: id("-u"), gid: id("-g") } : undefined;
  const directory = mkdtempSync(join(parent, "frond-bench-pg-"));
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  const data = join(directory, "data");
  try {
    const init = ["-D", data, "-U", "bench", "-A", "trust", "--no-instructions"];
    execFileSync(join(bin, "initdb"), init, { ...user, cwd: directory, stdio: ["ignore", "ignore", "pipe"] });
    const server = await startServer({
      name: "postgres",
      command: [join(bin, "postgres"), "-D", data, "-k", directory, "-c", "listen_addresses="],
      options: { ...user, cwd: directory },
      // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
      stopSignal: "SIGINT",
      ready: () => ask(directory, "SELECT 1"),
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    };
    return { directory, version: await ask(directory, "SHOW server_version"), stop };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

function findBin(): string {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root)
    ? readdirSync(root).filter((name) => existsSync(join(root, name, "bin/postgres")))
    : [];
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error(MISSING);
  return join(root, newest, "bin");
}

function id(flag: "-u" | "-g"): number {
  return Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
}

async function ask(directory: string, sql: string): Promise<string> {
  const client = new pg.Client({ host: directory, user: "bench", database: "postgres" });
  await client.connect();
  try {
    const result = await client.query<unknown[]>({ text: sql, rowMode: "array" });
    return String(result.rows[0]?.[0]);
  } finally {
    await client.end();
  }
}
