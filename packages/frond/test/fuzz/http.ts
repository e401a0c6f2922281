// The front door on real sockets: raw bytes, many requests in one packet or one in many, cut anywhere.
//
// Rule: the app hears the right requests, whole, in order and each once, and nothing else; the client gets whole answers
// in the same order. Behind a request whose end is not certain nothing is heard. Afterwards no request is left open, and
// /_frond/health answers.

import fc from "fast-check";
import { connect } from "node:net";
import { listenHttp } from "../../src/server/door/http.ts";
import { createLogger } from "../../src/server/logger.ts";
import { BAD, BOUNDS, type Good, good, pathOf, render } from "./httpRequests.ts";
import { parseAnswers, type ParsedAnswers } from "./httpAnswers.ts";
import { mutate, mutations } from "./mutate.ts";
import { type Entrance, target, type Target } from "./target.ts";

/** A front door under test. */
export interface Front {
  readonly port: number;
  readonly openRequests: number;
  stop(): Promise<void>;
}

export type Handler = (request: Request) => Promise<Response>;

interface HttpCase {
  readonly before: readonly Good[];
  readonly bad: string;
  readonly after: readonly Good[];
  /** Bytes are cut here, as a part of 2^16. */
  readonly cut: number;
  readonly packets: readonly number[];
  readonly changes: Parameters<typeof mutate>[1];
}

/** What the app heard: target and body, of requests that it could read to their end. */
interface Heard {
  readonly path: string;
  readonly method: string;
  readonly body: string;
}

export const listenFrond = async (handler: Handler): Promise<Front> => {
  const front = await listenHttp({
    host: "127.0.0.1",
    port: 0,
    handler,
    log: createLogger({ level: "error", format: "json", write: () => {} }),
    state: () => ({ ready: true }),
    limits: BOUNDS,
  });
  return {
    port: front.address.port,
    get openRequests() {
      return front.openRequests;
    },
    stop: () => front.stop(0),
  };
};

export function httpTarget(listen: (handler: Handler) => Promise<Front> = listenFrond): Target {
  return target("http", 250, async (): Promise<Entrance<HttpCase>> => {
    const heard: Heard[] = [];
    const front = await listen((request) => hear(request, heard));
    return {
      input: fc.record({
        before: fc.array(good, { maxLength: 3 }),
        bad: fc.oneof(fc.constant(""), fc.constantFrom(...Object.keys(BAD))),
        after: fc.array(good, { maxLength: 2 }),
        cut: fc.oneof({ weight: 4, arbitrary: fc.constant(2 ** 16) }, { weight: 1, arbitrary: fc.nat(2 ** 16) }),
        packets: fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 5 }),
        changes: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: mutations }),
      }),
      async check(input) {
        heard.length = 0;
        await judge(input, front, heard);
      },
      close: () => front.stop(),
    };
  });
}

async function hear(request: Request, heard: Heard[]): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const path = pathname + search;
  const { method } = request;
  if (path.startsWith("/lazy")) {
    heard.push({ path, method, body: "" });
    return Response.json({ path });
  }
  const body = Buffer.from(await request.arrayBuffer()).toString("latin1");
  heard.push({ path, method, body });
  return Response.json({ path, body: body.length });
}

async function judge(input: HttpCase, front: Front, heard: Heard[]): Promise<void> {
  const { before, bad, after } = input;
  const wrong = bad === "" ? undefined : BAD[bad];
  const all = [...before, ...after];
  const parts = all.map((one, i) => render(one, i, i === all.length - 1));
  if (wrong !== undefined) parts.splice(before.length, 0, wrong.bytes);
  const text = Buffer.from(parts.join(""), "latin1");
  const cut = text.subarray(0, Math.floor((input.cut / 2 ** 16) * text.length));
  const bytes = mutate(cut, input.changes);
  const certain = input.changes.length === 0 ? certainlyHeard(input, parts, cut.length) : 0;
  const received = await exchange(front.port, bytes, input.packets, certain);
  const answers = parseAnswers(received);
  await settled(front);
  // Where a header itself was changed, what stood in a body may rightly be a request.
  const isKnown = input.changes.length === 0;
  if (isKnown && heard.some(({ path }) => path.includes("smuggled")))
    throw new Error("the app has heard the smuggled request");
  if (isKnown) judgeHeard(input, certain, heard, answers, received);
  const health = await exchange(front.port, Buffer.from("GET /_frond/health HTTP/1.0\r\n\r\n"), [], 1);
  if (!health.startsWith("HTTP/1.1 200")) throw new Error(`/_frond/health answers ${JSON.stringify(health)}`);
}

/** How many right requests stand whole in front of the first that is wrong, cut, or the last of its connection. */
function certainlyHeard({ before, after, bad }: HttpCase, parts: readonly string[], length: number): number {
  let at = 0;
  const whole = bad === "" ? [...before, ...after] : before;
  for (const [i, one] of whole.entries()) {
    at += (parts[i] as string).length;
    if (at > length) return i;
    if (one.version === "1.0") return i + 1;
  }
  return whole.length;
}

function judgeHeard(
  { before, after, bad }: HttpCase,
  certain: number,
  heard: readonly Heard[],
  answers: ParsedAnswers,
  received: string,
): void {
  const all = [...before, ...after];
  const ended = all.findIndex(({ version }) => version === "1.0");
  const open = bad === "" || BAD[bad]?.framed === true;
  // Who does not read a body hears its request before all of it is there.
  const next = certain < before.length ? before[certain] : undefined;
  const early = next !== undefined && (next.lazy || next.method === "GET") ? 1 : 0;
  const most = !open ? certain + early : ended === -1 ? all.length : ended + 1;
  if (heard.length < certain || heard.length > most) {
    throw new Error(`the app heard ${heard.length} requests, not ${certain} to ${most}: ${JSON.stringify(heard)}`);
  }
  // Answers of requests that were read at once may overtake each other inside the app, never on the wire.
  for (const [i, one] of all.entries()) {
    const found = heard.filter(({ path }) => path === pathOf(one, i));
    if (found.length > 1) throw new Error(`${pathOf(one, i)} was heard twice`);
    if (found.length === 0 && i < certain) throw new Error(`${pathOf(one, i)} was not heard`);
    // A Request has no body with GET; and who does not read it does not hear it.
    const body = one.lazy || one.method === "GET" ? "" : one.body;
    if (found.length === 1 && (found[0]?.method !== one.method || found[0].body !== body)) {
      throw new Error(`${pathOf(one, i)} was heard as ${JSON.stringify(found[0])}`);
    }
  }
  const paths = answers.bodies.flatMap((told) => (typeof told["path"] === "string" ? [told["path"]] : []));
  const wanted = all.map(pathOf).slice(0, paths.length);
  if (JSON.stringify(paths) !== JSON.stringify(wanted)) throw new Error(`answered ${paths.join(" ")}`);
  if (paths.length < certain) throw new Error(`only ${paths.length} of ${certain} were answered: ${received}`);
  // What is wrong and whole is told so, or cut off.
  const told = before.some(({ version }) => version === "1.0") ? undefined : answers.statuses[before.length];
  if (bad !== "" && told !== undefined && told < 400) throw new Error(`"${bad}" is answered ${told}`);
}

/** Longest wait for an answer that must come, in ms: only a hang meets it. */
const LONGEST_MS = 10_000;

/** Sends `bytes` in packets; ends the connection when `answers` whole answers are there; gives all that came back. */
function exchange(port: number, bytes: Buffer, packets: readonly number[], answers: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    let ended = false;
    const socket = connect({ port, host: "127.0.0.1" });
    const hang = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer, no end; so far: ${JSON.stringify(received)}`));
    }, LONGEST_MS);
    const whole = (): number => {
      try {
        return parseAnswers(received).bodies.length;
      } catch {
        // Told when all of it is there.
        return answers;
      }
    };
    const look = (): void => {
      if (ended || whole() < answers) return;
      ended = true;
      // What would be heard too much is heard by then.
      setTimeout(() => socket.end(), 3);
    };
    socket.setEncoding("latin1").setNoDelay();
    socket.on("data", (chunk: string) => {
      received += chunk;
      look();
    });
    // A reset is one way to be refused.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(hang);
      resolve(received);
    });
    socket.on("connect", () => void sendAll(socket, bytes, packets).then(look));
  });
}

async function sendAll(socket: ReturnType<typeof connect>, bytes: Buffer, packets: readonly number[]): Promise<void> {
  let at = 0;
  for (const size of [...packets, bytes.length]) {
    if (socket.destroyed) return;
    socket.write(bytes.subarray(at, at + size));
    at += size;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Waits until every request is over: none may be left open when its client has gone. */
async function settled(front: Front): Promise<void> {
  for (let turns = 0; front.openRequests > 0; turns++) {
    if (turns > 200) throw new Error(`${front.openRequests} requests are left open`);
    await new Promise((resolve) => setTimeout(resolve, turns < 100 ? 1 : 20));
  }
}
