// A small HTTP client that knows the fate of every request it made: what the checks are made with.
//
// Rule: it ends when every request was answered, so what it acknowledged is exact. `wrk` cuts its connections at the end
// of a slice and can state only bounds; it is far faster, which is why both exist.

import { Agent, request as httpRequest } from "node:http";

/** Keep-alive connections to one server on loopback. Whoever makes one closes it. */
export class Client {
  readonly #agent: Agent;
  readonly #port: number;
  readonly #connections: number;

  constructor(port: number, connections: number) {
    this.#port = port;
    this.#connections = connections;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The body of the answer. Rejects on any status but 200, and when the connection breaks. */
  send(method: "GET" | "POST", path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        {
          agent: this.#agent,
          host: "127.0.0.1",
          port: this.#port,
          method,
          path,
          headers: method === "POST" ? { "content-length": 0 } : {},
        },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (body += chunk));
          response.on("error", reject);
          response.on("end", () => {
            if (response.statusCode === 200) resolve(body);
            else reject(new Error(`${method} ${path} was answered ${response.statusCode}: ${body.slice(0, 200)}`));
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  /** As {@link send}, for an answer that must be a count. */
  async count(method: "GET" | "POST", path: string): Promise<number> {
    const body = await this.send(method, path);
    if (!/^\d+$/.test(body))
      throw new Error(`${method} ${path} was answered ${JSON.stringify(body.slice(0, 80))}, not a count`);
    return Number(body);
  }

  /** Works off the items with all connections at once; the results stand in the order of the items. */
  async each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < items.length) {
        const at = next++;
        results[at] = await work(items[at] as T);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#connections, items.length) }, worker));
    return results;
  }
}
