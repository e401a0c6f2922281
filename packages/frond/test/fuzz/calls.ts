// Calls from outside over HTTP: paths, methods, origins and bodies of every shape, at a real node.
//
// Rule: 200 only for an exposed verb that was asked for as it must be, and then with its own result; the closed door has
// one face, whatever it hides; every other answer is a failure with a known code. No verb runs that is not exposed.

import fc from "fast-check";
import { Agent, request } from "node:http";
import { isDeepStrictEqual } from "node:util";
import { decode } from "../../src/client/values.ts";
import { listenHttp } from "../../src/server/door/http.ts";
import { createLogger } from "../../src/server/logger.ts";
import { mutate, mutations } from "./mutate.ts";
import { Box, openBoxes, type OpenedNode } from "./nodes.ts";
import { type Entrance, target, type Target } from "./target.ts";

interface CallCase {
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  readonly inQuery: boolean;
  readonly method: string;
  readonly type: string;
  readonly origin: string;
  readonly args: unknown;
  readonly changes: Parameters<typeof mutate>[1];
  readonly deep: number;
}

const kind = fc.oneof(
  { weight: 8, arbitrary: fc.constant("box") },
  { weight: 1, arbitrary: fc.constantFrom("", "vault", "BOX", "b%6fx", "__proto__", "..") },
);
const name = fc.constantFrom(
  "a",
  "forbidden",
  "é",
  "%2f",
  "a%2Fb",
  "..",
  "%2e%2e",
  "%00",
  "%",
  "%ff",
  "",
  "x".repeat(513),
  "+",
  "a&name=b",
);
const verb = fc.oneof(
  { weight: 4, arbitrary: fc.constant("echo") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "boom",
      "hidden",
      "fill",
      "play",
      "fetch",
      "constructor",
      "__proto__",
      "toString",
      "ctx",
      "echo/",
      "",
      "ECHO",
    ),
  },
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    { $date: "2026-01-01T00:00:00.000Z" },
    { $blob: "AQI=" },
    { $x: 1 },
    { $bigint: "7" },
    { $undefined: true },
  ),
);

export function callsTarget(
  calls: (opened: OpenedNode) => NonNullable<OpenedNode["node"]["handleCall"]> = ofNode,
): Target {
  return target("calls", 400, async (): Promise<Entrance<CallCase>> => {
    const opened = await openBoxes();
    const front = await listenHttp({
      host: "127.0.0.1",
      port: 0,
      handler: () => new Response("the app"),
      calls: calls(opened),
      log: createLogger({ level: "silent", format: "json", write: () => {} }),
      state: () => ({ ready: true }),
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const usually = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
      fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
    return {
      input: fc.record({
        kind,
        name,
        verb,
        inQuery: fc.boolean(),
        method: usually("POST", "GET", "PUT", "OPTIONS", "DELETE"),
        type: usually(
          "application/json",
          "text/plain",
          "",
          "APPLICATION/JSON; charset=x",
          "application/json, text/plain",
        ),
        origin: usually("", "https://app.example", "https://evil.example", "null", "http://localhost", "x"),
        args: fc.oneof({ weight: 6, arbitrary: fc.array(value, { maxLength: 3 }) }, { weight: 1, arbitrary: value }),
        changes: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
        deep: usually(0, 90, 200, 20_000),
      }),
      async check(input) {
        const { port } = front.address;
        const text = "[".repeat(input.deep) + JSON.stringify(input.args) + "]".repeat(input.deep);
        const body = mutate(Buffer.from(text), input.changes);
        const answer = await send(agent, port, input, body);
        judge(input, body.toString(), answer, `http://localhost:${port}`);
        if (Box.hiddenRuns > 0) throw new Error("a verb has run that is not exposed");
        if (opened.fatal.length > 0) throw new Error(`the node gave up: ${String(opened.fatal[0])}`);
      },
      async close() {
        agent.destroy();
        await front.stop(0);
        await opened.close();
      },
    };
  });
}

function ofNode({ node }: OpenedNode): NonNullable<OpenedNode["node"]["handleCall"]> {
  if (node.handleCall === undefined) throw new Error("nothing is exposed");
  return node.handleCall;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const FAILURES: Readonly<Record<number, readonly string[]>> = {
  400: ["BAD_ARGUMENTS", "BAD_HOST", "BAD_REQUEST"],
  403: ["REFUSED", "BAD_ORIGIN"],
  404: ["NOT_FOUND"],
  405: ["METHOD_NOT_ALLOWED"],
  415: ["BAD_CONTENT_TYPE"],
  500: ["FAILED"],
};
const FACE =
  '{"error":{"code":"REFUSED","message":"this call is not open to you, or there is no such thing","retryable":false}}';

function judge(input: CallCase, body: string, { status, text }: Answer, self: string): void {
  if (status === 204 && input.method === "OPTIONS" && input.origin === "https://app.example") return;
  const told = JSON.parse(text) as { ok?: unknown; error?: { code?: unknown } };
  if (status !== 200) {
    const code = String(told.error?.code);
    if (FAILURES[status]?.includes(code) !== true) throw new Error(`answered ${status} ${text}`);
    if (code === "REFUSED" && text !== FACE) throw new Error(`another face of the closed door: ${text}`);
    if (status === 500 && input.verb !== "boom") throw new Error(`failed: ${text}`);
    return;
  }
  const asked = input.method === "POST" && /^application\/json(;|$)/i.test(input.type);
  const open = ["box", "b%6fx"].includes(input.kind) && input.verb === "echo" && input.name !== "forbidden";
  const near = ["", "https://app.example", self].includes(input.origin) || input.origin === "http://localhost";
  if (!asked || !open || !near) throw new Error(`answered 200 ${text}`);
  if (!isDeepStrictEqual(decode(told.ok), decode(JSON.parse(body)))) throw new Error(`the result is ${text}`);
}

function send(agent: Agent, port: number, input: CallCase, body: Buffer): Promise<Answer> {
  const { method, type, origin, inQuery } = input;
  const place = inQuery
    ? `${input.kind}/${input.verb}?name=${input.name}`
    : `${input.kind}/${input.name}/${input.verb}`;
  const path = `/_frond/call/${encodeURI(place).replaceAll("%25", "%")}`;
  const headers = {
    host: "localhost",
    "content-length": String(body.length),
    ...(type !== "" && { "content-type": type }),
    ...(origin !== "" && { origin }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, agent, method, path, headers }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject).end(body);
  });
}
