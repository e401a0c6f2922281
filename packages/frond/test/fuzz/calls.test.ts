// A slice of the fuzzing of calls from outside, with a fixed seed; and that each oracle catches an entrance that is broken.

import { describe } from "vitest";
import { decode, encode } from "../../src/client/values.ts";
import { callsTarget } from "./calls.ts";
import { clientValuesTarget } from "./clientValues.ts";
import type { OpenedNode } from "./nodes.ts";
import { catches, holds } from "./slice.ts";

type Call = NonNullable<OpenedNode["node"]["handleCall"]>;

/** The calls of a node, behind something that breaks them. */
function behind(change: (call: Call, ...args: Parameters<Call>) => ReturnType<Call>) {
  return ({ node }: OpenedNode): Call => {
    const { handleCall } = node;
    if (handleCall === undefined) throw new Error("nothing is exposed");
    return (request, info) => change(handleCall, request, info);
  };
}

describe("calls over HTTP", () => {
  holds(callsTarget());
  const anyType = behind(async (call, request, info) => {
    const headers = new Headers(request.headers);
    headers.set("content-type", "application/json");
    const body = request.method === "POST" ? await request.text() : null;
    return call(new Request(request.url, { method: request.method, headers, body }), info);
  });
  catches("a door that takes forms of other pages", callsTarget(anyType));
  const talkative = behind(async (call, request, info) => {
    const answer = await call(request, info);
    if (answer.status !== 403 || !request.url.includes("hidden")) return answer;
    return Response.json({ error: { code: "REFUSED", message: "hidden is not exposed", retryable: false } }, answer);
  });
  catches("a closed door with two faces", callsTarget(talkative));
});

describe("values between client and server", () => {
  holds(clientValuesTarget());
  const dates = clientValuesTarget({
    decode,
    encode: (value, depth) => (value instanceof Date ? String(value) : encode(value, depth)),
  });
  catches("dates that arrive as text", dates);
  const lenient = clientValuesTarget({
    encode,
    decode(json, depth) {
      const text = (json as { $date?: unknown } | null)?.$date;
      return typeof text === "string" && !Number.isNaN(Date.parse(text)) ? new Date(text) : decode(json, depth);
    },
  });
  catches("a day that is none", lenient);
  const deep = clientValuesTarget({ encode, decode: (json) => decodeDeep(json) });
  catches("a reader that fails in its own way", deep);
});

function decodeDeep(json: unknown): unknown {
  if (Array.isArray(json) && json.length === 1) return [decodeDeep(json[0])];
  if (typeof json === "object" && json !== null && "$map" in json) return new Map(json.$map as [unknown, unknown][]);
  return decode(json);
}
