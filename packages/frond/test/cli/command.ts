// The real command as a child process, in a folder of its own inside the workspace, where `import "frond"` resolves.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const PACKAGE = path.resolve(import.meta.dirname, "../..");
export const BIN = path.join(PACKAGE, "bin/frond.js");

export const COUNTER_APP = `
import { Cell, frond } from "frond";

export class Counter extends Cell {
  static override migrations = ["CREATE TABLE entry (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, note TEXT) STRICT"];
  add(n: number, note: string | null = null) {
    this.sql.all\`INSERT INTO entry (n, note) VALUES (\${n}, \${note})\`;
    return this.sql.one<{ sum: number }>\`SELECT sum(n) AS sum FROM entry\`.sum;
  }
  fail() {
    throw new TypeError("not like this");
  }
  bytes(b: Uint8Array) {
    return new Uint8Array(b.toReversed());
  }
}

export default frond({
  cells: { counter: Counter },
  async fetch(request, { get, remoteAddress }) {
    const url = new URL(request.url);
    if (url.pathname === "/who") return Response.json([request.url, remoteAddress]);
    if (url.pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 700));
    if (url.pathname === "/crash") setTimeout(() => { throw new Error("nobody catches this"); });
    if (url.pathname === "/reject") void Promise.reject(new Error("nobody awaits this"));
    return Response.json(await get(Counter, url.pathname.slice(1)).add(1));
  },
});
`;

/** A fresh folder with an `app.ts`; removed by `remove`. */
export class Folder {
  readonly path: string;

  constructor(app: string = COUNTER_APP) {
    const home = path.join(PACKAGE, ".frond");
    mkdirSync(home, { recursive: true });
    this.path = mkdtempSync(path.join(home, "test-"));
    this.write("app.ts", app);
  }

  write(name: string, text: string): void {
    const file = this.at(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  at(name: string): string {
    return path.join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `frond ...args` to its end. */
export async function frond(
  folder: Folder,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Result> {
  const running = new Running(folder, args, env);
  const code = await running.exit();
  return { code, out: running.out, err: running.err };
}

/** `frond ...args` while it runs. */
export class Running {
  readonly child: ChildProcess;
  out = "";
  err = "";
  readonly #exited: Promise<number | null>;

  constructor(folder: Folder, args: readonly string[], env: Record<string, string> = {}) {
    const inherited = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "" };
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd: folder.path,
      env: { ...inherited, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout!.setEncoding("utf8").on("data", (chunk: string) => (this.out += chunk));
    this.child.stderr!.setEncoding("utf8").on("data", (chunk: string) => (this.err += chunk));
    this.#exited = once(this.child, "close").then(([code]) => code as number | null);
  }

  /** Waits for the end; the exit code, or null when a signal ended it. */
  exit(): Promise<number | null> {
    return this.#exited;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.child.kill(signal);
    return this.#exited;
  }

  /** Waits until the output has `count` matches; returns the last one. Throws with the output when the command ends. */
  async until(pattern: RegExp, count = 1): Promise<RegExpMatchArray> {
    for (;;) {
      const found = [...this.out.matchAll(new RegExp(pattern, "g"))];
      const last = found.at(count - 1);
      if (last) return last;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`ended before ${pattern} came:\n${this.out}\n${this.err}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The URL of its `count`-th "ready" line. */
  async ready(count = 1): Promise<string> {
    return (await this.until(/ready on (http:\/\/[^\s"]+)/, count))[1] as string;
  }
}
