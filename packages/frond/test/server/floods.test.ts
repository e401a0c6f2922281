// What happens a thousand times is told a few times, and counted: by itself, and at the doors through which it comes in.

import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import { frond } from "../../src/cell/app.ts";
import { Seldom, steadyLog } from "../../src/server/door/floods.ts";
import { openCells, openIn } from "../cell/nodes.ts";
import { openDoor } from "./doors.ts";
import { serveExposed } from "./exposed.ts";

const MANY = 400;
/** Many, even if a slow machine takes seconds. */
const FEW = MANY / 4;

interface Line {
  readonly unsaid?: number;
}

test("of a thousand events of a cause some are told at once, and the next that is told counts the rest", async () => {
  const seldom = new Seldom(3);
  const told = Array.from({ length: 1_000 }, () => seldom.ask("a")).filter((unsaid) => unsaid !== undefined);
  expect(told.slice(0, 3)).toEqual([0, 0, 0]);
  expect(told.length).toBeLessThan(FEW);
  expect(seldom.ask("b")).toBe(0);
  const before = told.reduce((sum, unsaid) => sum + unsaid + 1, 0);
  let asked = 0;
  let later: number | undefined;
  const ask = (): number | undefined => {
    asked++;
    return (later = seldom.ask("a"));
  };
  await expect.poll(ask, { timeout: 10_000 }).toBeDefined();
  expect(before + (later as number) + 1).toBe(1_000 + asked);
});

test("however many causes there are, few are known: the others share", () => {
  const seldom = new Seldom(1);
  const told = Array.from({ length: 100_000 }, (_, i) => seldom.ask(`cause ${i}`)).filter((n) => n !== undefined);
  expect(told.length).toBeLessThan(1_000);
});

test("errors of other codes, classes and places are causes of their own, and levels and sentences too", () => {
  const lines: string[] = [];
  const note = (fields: object, message: string): void => void lines.push(`${message} ${Object.keys(fields).join()}`);
  const log = steadyLog({ warn: note, error: note });
  const here = (): Error => new Error("message 1");
  const there = (): Error => new Error("message 2");
  const coded = (code: string): Error => Object.assign(here(), { code });
  const kinds = [here, there, () => coded("A"), () => coded("B"), () => new TypeError("x"), () => "no error"];
  const all = (): void => {
    for (const kind of kinds) {
      log.warn({ err: kind() }, "failed");
      log.error({ err: kind() }, "failed");
      log.warn({ err: kind() }, "failed otherwise");
    }
  };
  for (let i = 0; i < MANY; i++) all();
  const first = lines.slice(0, 3 * kinds.length);
  expect(first).toEqual(kinds.flatMap(() => ["failed err", "failed err", "failed otherwise err"]));
  expect(lines.length).toBeLessThan(3 * kinds.length * FEW);
});

class Broken extends Cell {
  fail() {
    throw new Error("broken");
  }
  async leaveBehind() {
    this.ctx.waitUntil(Promise.reject(new Error("broken")));
  }
  async arm() {
    await this.ctx.storage.setAlarm(1);
  }
  override alarm() {
    throw new Error("broken");
  }
}
class Other extends Cell {}

test("calls from outside that fail by the hundred are told a few times, each with its own id", async () => {
  const app = frond({ cells: { broken: Broken }, expose: { broken: { fail: true } }, authorize: () => true });
  const { url, log } = await serveExposed(app);
  const call = async (): Promise<string> => {
    const body = { method: "POST", body: "[]", headers: { "content-type": "application/json" } };
    const answer = (await (await fetch(`${url}/_frond/call/broken/a/fail`, body)).json()) as Failed;
    return answer.error.requestId;
  };
  const ids = [await call(), await call()];
  for (let i = 0; i < MANY / 10; i++) await Promise.all(Array.from({ length: 10 }, call));
  const told = log.filter(({ msg }) => msg === "a call from outside failed");
  expect(told.slice(0, 2).map(({ request }) => request)).toEqual(ids);
  expect(told.length).toBeLessThan(FEW);
});

interface Failed {
  readonly error: { readonly requestId: string };
}

test("requests that fail by the hundred are told a few times, as are answers of failure", async () => {
  const { url, log } = await openDoor((request) => {
    if (request.url.endsWith("/throw")) throw new Error("broken");
    return new Response(null, { status: 500 });
  });
  for (let i = 0; i < MANY; i++) {
    await fetch(`${url}/throw`);
    await fetch(`${url}/answer`);
  }
  for (const msg of ["a request failed", "the app answered with a failure"]) {
    const told = log.filter((line) => line["msg"] === msg);
    expect(told.length).toBeGreaterThan(1);
    expect(told.length).toBeLessThan(FEW);
  }
});

test("alarms that cannot be run, and alarms that throw, by the hundred are told a few times", async () => {
  const opened = await openCells({ broken: Broken, other: Other });
  for (let i = 0; i < MANY; i++) await opened.get(Broken, `b${i}`).arm();
  await opened.node.alarms.runDue();
  const threw = opened.lines.filter((line) => line.includes("an alarm threw"));
  expect(threw.length).toBeGreaterThan(1);
  expect(threw.length).toBeLessThan(FEW);
  await opened.node.stop();
  const without = await openIn(opened.directory, { other: Other });
  for (let i = 0; i < MANY; i++) await without.node.alarms.fire(`broken/b${i}` as never);
  const refused = without.lines.filter((line) => line.includes("an alarm could not be run"));
  expect(refused.length).toBeGreaterThan(1);
  expect(refused.length).toBeLessThan(FEW);
});

test("what verbs leave behind and fails by the hundred is told a few times", async () => {
  const { get, lines } = await openCells({ broken: Broken });
  for (let i = 0; i < MANY; i++) await get(Broken, "a").leaveBehind();
  const told = lines.filter((line) => line.includes("what a verb had left to waitUntil failed"));
  expect(told.length).toBeGreaterThan(1);
  expect(told.length).toBeLessThan(FEW);
});

test("a line says how many were left out before it", async () => {
  const lines: Line[] = [];
  const note = (fields: Line): void => void lines.push(fields);
  const log = steadyLog({ warn: note, error: note });
  for (let i = 0; i < MANY; i++) log.error({}, "failed");
  expect(lines[0]).toEqual({});
  const last = (): number | undefined => {
    log.error({}, "failed");
    return lines.at(-1)?.unsaid;
  };
  await expect.poll(last, { timeout: 10_000 }).toBeGreaterThan(FEW);
});
