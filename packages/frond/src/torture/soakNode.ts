// One life of the node of the soak: the real command in a process of its own, with few descriptors.

import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { SoakBreakage } from "./soakApp.ts";
import { connectControl, type OperatorView } from "../server/operator/controlClient.ts";

/** `ulimit -n` of the node: cells are opened and closed all the time. */
const DESCRIPTORS = 1024;
/** A node that does not serve after this time hangs, in ms. */
const READY_MS = 60_000;
const HERE = path.dirname(fileURLToPath(import.meta.url));
const BIN = path.join(HERE, "../../bin/frond.js");
const APP = path.join(HERE, "soakApp.ts");

/** What a look at the process shows. */
export interface Vitals {
  /** Behind a collection of garbage, and the most that the process ever had. */
  readonly rssMiB: number;
  readonly peakMiB: number;
  readonly fds: number;
  readonly openCells: number;
}

/** See the head of the file. */
export class SoakNode {
  /** Resolves with what is to be said of the end: its code, its signal, its last words. */
  readonly ended: Promise<string>;
  over = false;
  port = 0;
  readonly #process: ChildProcess;
  #view: OperatorView | undefined;
  #words = "";

  constructor(data: string, broken?: SoakBreakage) {
    const command = `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`;
    const start = ["--expose-gc", BIN, "start", APP, "--data", data, "--listen", "127.0.0.1:0", "--log-level", "error"];
    this.#process = spawn("sh", ["-c", command, process.execPath, ...start], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...(broken && { FROND_SOAK_BROKEN: broken }) },
    });
    const hear = (text: string): void => {
      this.#words = (this.#words + text).slice(-4000);
    };
    this.#process.stdout?.setEncoding("utf8").on("data", hear);
    this.#process.stderr?.setEncoding("utf8").on("data", hear);
    this.ended = new Promise((resolve) => {
      this.#process.on("close", (code, signal) => {
        this.over = true;
        void this.#view?.close();
        resolve(`code ${code}, signal ${signal}: ${this.#words.trim()}`);
      });
    });
  }

  /** Waits until it serves. False when it ended before, or hangs. */
  async ready(data: string): Promise<boolean> {
    const until = performance.now() + READY_MS;
    while (!this.over && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      const view = await connectControl(data).catch(() => undefined);
      if (view === undefined) continue;
      const version = await view.version().catch(() => undefined);
      if (version?.pid === this.#process.pid && version?.listen !== undefined) {
        this.#view = view;
        this.port = Number(version.listen.split(":").at(-1));
        return true;
      }
      await view.close();
    }
    return false;
  }

  /** Undefined when it ended meanwhile. */
  async vitals(): Promise<Vitals | undefined> {
    try {
      const folder = `/proc/${this.#process.pid}`;
      const collected = await fetch(`http://127.0.0.1:${this.port}/`);
      if (collected.status !== 204) return undefined;
      const proc = fs.readFileSync(`${folder}/status`, "utf8");
      const [rssMiB, peakMiB] = [mebibytes(proc, "VmRSS"), mebibytes(proc, "VmHWM")];
      const fds = fs.readdirSync(`${folder}/fd`).length;
      const status = await this.#view?.status();
      return status && { rssMiB, peakMiB, fds, openCells: status.openCells };
    } catch {
      return undefined;
    }
  }

  end(signal: "SIGKILL" | "SIGTERM"): Promise<string> {
    this.#process.kill(signal);
    return this.ended;
  }
}

function mebibytes(status: string, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}
