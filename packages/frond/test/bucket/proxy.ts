// A proxy before an S3 server, in the hands of a test: it answers in the server's place, loses answers, or cuts them.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** A request, as it came. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
}

/**
 * What happens to a request: it is passed on; answered with an error in the server's place; passed on and its answer lost;
 * passed on and its answer cut in the middle; not answered.
 */
export type Conduct = "pass" | { readonly status: number; readonly code: string } | "lose" | "cut" | "silent";

/** See the head of the file. */
export interface Proxy {
  readonly endpoint: string;
  /** All requests so far. */
  readonly seen: readonly Seen[];
  /** Most requests that were in work at once. Count. */
  readonly busiest: number;
  /** Decides from now on. */
  conduct: (request: Seen) => Conduct;
  close(): Promise<void>;
}

/** Starts a proxy before `target`, a URL. */
export async function startProxy(target: string): Promise<Proxy> {
  const seen: Seen[] = [];
  const counts = { now: 0, busiest: 0 };
  const { hostname, port } = new URL(target);
  const server = http.createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });
  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const { method = "", url = "", headers } = request;
    counts.busiest = Math.max(counts.busiest, ++counts.now);
    response.on("close", () => counts.now--);
    seen.push({ method, url, headers });
    const conduct = proxy.conduct({ method, url, headers });
    const body = await buffer(request);
    if (conduct === "silent") return;
    if (typeof conduct === "object") {
      response.writeHead(conduct.status, { "content-type": "application/xml" });
      response.end(`<?xml version="1.0"?><Error><Code>${conduct.code}</Code><Message>as told</Message></Error>`);
      return;
    }
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      // `host` stays as it was: it is signed.
      http.request({ hostname, port, method, path: url, headers }, resolve).on("error", reject).end(body);
    });
    const content = await buffer(answer);
    if (conduct === "lose") return void response.destroy();
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    if (conduct === "pass") return void response.end(content);
    response.write(content.subarray(0, content.length / 2), () => response.destroy());
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: Proxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    get busiest() {
      return counts.busiest;
    },
    conduct: () => "pass",
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
