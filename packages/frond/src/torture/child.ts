// The harness's hand on the process under torture: starts it, calls its door, ends it in one way or another.
//
// Rule: a call that was not answered whole is `unheard`, never a failure: the client of a dying server knows nothing. How the
// process ended is always known, and an end that nobody asked for is the harness's business, not to be waited out.

import { type ChildProcess, fork } from "node:child_process";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { ActorCall } from "./app.ts";
import type { BookCall } from "./books.ts";
import type { EntryConfig, EntryMessage, EntryOrder } from "./entry.ts";
import type { Report } from "./script.ts";

/** The answer to one call. */
export type Answer =
  | { readonly heard: "value"; readonly value: unknown }
  | { readonly heard: "error"; readonly code: string; readonly message: string; readonly report?: Report }
  | { readonly heard: "nothing" };

/** How the process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it wrote on standard error, to its last kilobytes. */
  readonly output: string;
}

export type Ready = Extract<EntryMessage, { what: "ready" }>;

const NOTHING: Answer = { heard: "nothing" };
const KEPT_OUTPUT = 8192;
// Sources in the workspace, JavaScript in a published package: the ending of this very file.
const ENTRY = fileURLToPath(new URL(`./entry${path.extname(import.meta.url)}`, import.meta.url));

/** One life of the process. */
export class Child {
  /** Resolves when recovery begins, when it serves, and when it has ended; the first two never, if it ends before. */
  readonly opening: Promise<void>;
  readonly ready: Promise<Ready>;
  readonly ended: Promise<End>;
  over = false;
  /** When it had ended, in ms since 1970; 0 = it has not. */
  overAt = 0;
  readonly #process: ChildProcess;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  #port = 0;
  #hungUp = false;
  #output = "";

  constructor(config: EntryConfig) {
    this.#process = fork(ENTRY, [JSON.stringify(config)], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
    });
    this.opening = new Promise((resolve) => this.#on("opening", () => resolve()));
    this.ready = new Promise((resolve) =>
      this.#on("ready", (message) => {
        this.#port = message.port;
        resolve(message);
      }),
    );
    this.ended = new Promise((resolve) => {
      this.#process.on("close", (code, signal) => {
        this.over = true;
        this.overAt = Date.now();
        this.#agent.destroy();
        resolve({ code, signal, output: this.#output });
      });
    });
  }

  #on<W extends EntryMessage["what"]>(what: W, then: (message: Extract<EntryMessage, { what: W }>) => void): void {
    this.#process.on("message", (message: EntryMessage) => {
      if (message.what === what) then(message as Extract<EntryMessage, { what: W }>);
    });
  }

  /** What it has written on standard error so far, to its last kilobytes. */
  get output(): string {
    return this.#output;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Holds it where it is, or lets it go on: a machine that slept. */
  hold(held: boolean): void {
    this.#process.kill(held ? "SIGSTOP" : "SIGCONT");
    this.#hungUp &&= held;
  }

  /** Gives up every call that was not answered yet, and those that come; until it goes on. */
  hangUp(): void {
    this.#hungUp = true;
    this.#agent.destroy();
  }

  /** Tells it to stop or to lose power; a process that is gone already is told nothing. */
  order(order: EntryOrder): void {
    if (this.#process.connected) this.#process.send(order, () => {});
  }

  /** Calls a book or an actor through the front door. Only after `ready`. */
  async call(call: BookCall | ActorCall): Promise<Answer> {
    let text = "";
    const status = await this.#request(call, (part) => (text += part));
    return status === undefined ? NOTHING : answerOf(status, text);
  }

  /** Calls an actor and gives each line of the answer as it comes. `cut`: not all of it came. */
  async stream(call: ActorCall, onLine: (line: string) => void): Promise<"whole" | "cut"> {
    let rest = "";
    const status = await this.#request(call, (part, of) => {
      const lines = (rest + part).split("\n");
      rest = lines.pop() as string;
      if (of === 200) lines.forEach(onLine);
    });
    return status === 200 ? "whole" : "cut";
  }

  /** Resolves with the status when the answer has come whole. */
  #request(call: object, onText: (text: string, status: number) => void): Promise<number | undefined> {
    // Not at once: who tries again and again would never let anybody else have his turn.
    if (this.#hungUp) return new Promise((resolve) => setImmediate(resolve, undefined));
    const body = JSON.stringify(call);
    return new Promise((resolve) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const options = { host: "127.0.0.1", port: this.#port, method: "POST", path: "/", agent: this.#agent, headers };
      const request = http.request(options, (response) => {
        const status = response.statusCode ?? 0;
        response.setEncoding("utf8").on("data", (part: string) => onText(part, status));
        response.on("end", () => resolve(response.complete ? status : undefined));
        response.on("error", () => resolve(undefined));
        response.on("close", () => resolve(undefined));
      });
      request.on("error", () => resolve(undefined));
      request.end(body);
    });
  }
}

function answerOf(status: number, text: string): Answer {
  const body = JSON.parse(text) as {
    value?: unknown;
    code?: string;
    message?: string;
    report?: Report;
    error?: { code: string; message: string };
  };
  if (status === 200) return { heard: "value", value: body.value };
  const { code = "?", message = text } = body.error ?? body;
  return { heard: "error", code: String(code), message, ...(body.report && { report: body.report }) };
}
