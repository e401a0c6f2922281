// A proxy before an S3 server that notes every request and when it was under way.
//
// Rule: what counts as one after the other is seen, not thought: requests of which none began before the one before it had
// ended. The keeping of the lease, which goes on all the time, is not what anybody waits for, and is left out.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

/** A request. Times in ms of `performance.now()`. */
export interface Watched {
  readonly method: string;
  readonly path: string;
  readonly began: number;
  ended: number;
  /** HTTP status of its answer. */
  status: number;
}

export interface WatchingProxy {
  readonly endpoint: string;
  readonly seen: Watched[];
  /** Each answer is held back for so long, in ms: requests that were sent together are then under way together. */
  holdMs: number;
  close(): Promise<void>;
}

/** Starts one before `target`, a URL. */
export async function startWatchingProxy(target: string): Promise<WatchingProxy> {
  const seen: Watched[] = [];
  const { hostname, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const { method = "", url = "", headers } = request;
    const watched: Watched = {
      method,
      path: decodeURIComponent(url),
      began: performance.now(),
      ended: Infinity,
      status: 0,
    };
    seen.push(watched);
    const body = await buffer(request);
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      // `host` stays as it was: it is signed.
      http.request({ agent, hostname, port, method, path: url, headers }, resolve).on("error", reject).end(body);
    });
    const content = await buffer(answer);
    await sleep(proxy.holdMs);
    watched.status = answer.statusCode ?? 500;
    watched.ended = performance.now();
    response.writeHead(answer.statusCode ?? 500, answer.headers).end(content);
  };
  const server = http.createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: WatchingProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    holdMs: 0,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** The requests since `from` that somebody may have waited for: the lease writes its record, and looks for a number that is not there. */
export function waitedFor(seen: readonly Watched[], from: number): Watched[] {
  const isLease = ({ path, status }: Watched): boolean =>
    path.includes("/node/") || (status === 404 && path.includes("/log/"));
  return seen.filter((watched) => watched.began >= from && !isLease(watched));
}

/** The longest row of requests of which each began when the one before it had ended. Count. */
export function inARow(requests: readonly Watched[]): number {
  let [count, end] = [0, -Infinity];
  for (const { began, ended } of requests.toSorted((a, b) => a.ended - b.ended)) {
    if (began < end) continue;
    count += 1;
    end = ended;
  }
  return count;
}
