// A slice of the fuzzing of the front door and the control socket, with a fixed seed; and that each oracle catches an
// entrance that is broken.

import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe } from "vitest";
import { controlTarget } from "./control.ts";
import { type Front, type Handler, httpTarget, listenFrond } from "./http.ts";
import { catches, holds } from "./slice.ts";

describe("the front door", () => {
  holds(httpTarget());
  catches("a parser that is lenient", httpTarget(listenLeniently));
  const half = httpTarget((handler) =>
    listenFrond(async (request) => {
      if (request.method === "GET") return handler(request);
      const first = await request.body?.getReader().read();
      return handler(new Request(request.url, { method: request.method, body: first?.value ?? null }));
    }),
  );
  catches("a door that hands on the first piece of a body", half);
  const swapped = httpTarget((handler) =>
    listenFrond(async (request) => {
      const path = new URL(request.url).pathname;
      const answer = await handler(request);
      return path.endsWith("/1") ? Response.json({ path: "/good/0" }) : answer;
    }),
  );
  catches("a door that answers another request", swapped);
});

describe("the control socket", () => {
  holds(controlTarget());
  catches(
    "a node that writes without being told to",
    controlTarget((control) => ({ ...control, sql: (address, sql, args) => control.sql(address, sql, args, true) })),
  );
  catches(
    "a node that fails without a code",
    controlTarget((control) => ({
      ...control,
      sql: async (address, sql, args, write) =>
        address.length === 0 ? JSON.parse("{") : control.sql(address, sql, args, write),
    })),
  );
});

/** Node's server as it must not be set up. */
async function listenLeniently(handler: Handler): Promise<Front> {
  const server = createServer({ insecureHTTPParser: true, requireHostHeader: false }, getRequestListener(handler));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    openRequests: 0,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
