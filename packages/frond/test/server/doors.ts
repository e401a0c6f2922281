// Front doors for tests: opened on a free port, closed after the test, with the log kept in memory; and raw clients,
// because fetch hides what goes over the wire.

import { connect } from "node:net";
import type { Socket } from "node:net";
import { onTestFinished } from "vitest";
import { listenHttp } from "../../src/server/door/http.ts";
import type { HttpFront, HttpHandler, HttpOptions } from "../../src/server/door/http.ts";
import { createLogger } from "../../src/server/logger.ts";

export interface Door {
  readonly front: HttpFront;
  readonly url: string;
  readonly port: number;
  /** Lines of the log so far, parsed. */
  readonly log: Record<string, unknown>[];
}

export async function openDoor(handler: HttpHandler, options: Partial<HttpOptions> = {}): Promise<Door> {
  const log: Record<string, unknown>[] = [];
  const front = await listenHttp({
    host: "127.0.0.1",
    port: 0,
    handler,
    log: createLogger({ level: "debug", format: "json", write: (line) => log.push(JSON.parse(line)) }),
    state: () => ({ ready: true }),
    ...options,
  });
  onTestFinished(() => front.stop(0));
  const { port } = front.address;
  return { front, url: `http://127.0.0.1:${port}`, port, log };
}

export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far. */
  text(): string;
  send(text: string): void;
  /** Waits until what was received matches. */
  until(pattern: RegExp): Promise<string>;
  /** Waits until the server has closed; returns all that was received. Throws on a reset. */
  closed(): Promise<string>;
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: false });
  onTestFinished(() => void socket.destroy());
  let received = "";
  let failure: Error | undefined;
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => (received += chunk));
  socket.on("error", (error) => (failure = error));
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("close", () => reject(failure ?? new Error("closed")));
  });
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        socket.off("data", done).off("close", done);
        resolve();
      };
      socket.on("data", done).on("close", done);
    });
  return {
    socket,
    text: () => received,
    send: (text) => void socket.write(text, "latin1"),
    async until(pattern) {
      while (!pattern.test(received)) {
        if (socket.destroyed) throw failure ?? new Error(`closed before ${pattern} came; got:\n${received}`);
        await change();
      }
      return received;
    },
    async closed() {
      while (!socket.destroyed) await change();
      if (failure) throw failure;
      return received;
    },
  };
}

/** Sends `request` on a connection of its own and returns all that comes until the server closes. */
export async function exchange(port: number, request: string): Promise<string> {
  const client = await rawClient(port);
  client.send(request);
  return client.closed();
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A promise that the test keeps or breaks by hand. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
