// One create with an unknown outcome: step by step, and two of them over a bucket that loses and delays, where the answer of
// each must be the truth once everything that was under way has landed.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Intent, type IntentEvent, type IntentStep } from "../../src/core/intent.ts";

function tell(intent: Intent<string>, ...events: IntentEvent<string>[]): IntentStep<string> {
  let step = intent.start();
  for (const event of events) step = intent.on(event);
  return step;
}

describe("one create", () => {
  test("an answer at once is the answer", () => {
    const intent = new Intent<string>();
    expect(intent.start()).toEqual({ do: "create" });
    expect(intent.on({ saw: "created" })).toEqual({ do: "answer", answer: "created" });
    expect(intent.isOpen).toBe(false);
    expect(intent.attempts).toBe(1);
  });

  test("unknown is read back; absent says nothing, so the same create is sent again", () => {
    const intent = new Intent<string>();
    expect(tell(intent, { saw: "unknown" })).toEqual({ do: "read back" });
    expect(intent.on({ saw: "absent" })).toEqual({ do: "pause", tries: 1 });
    expect(intent.isOpen).toBe(true);
    expect(intent.on({ saw: "waited" })).toEqual({ do: "create" });
    expect(intent.attempts).toBe(2);
  });

  test("exists after unknown may be oneself", () => {
    const step = tell(
      new Intent<string>(),
      { saw: "unknown" },
      { saw: "absent" },
      { saw: "waited" },
      { saw: "exists" },
      { saw: "ours" },
    );
    expect(step).toEqual({ do: "answer", answer: "created" });
  });

  test("somebody else's object is told", () => {
    const step = tell(new Intent<string>(), { saw: "exists" }, { saw: "other", found: "theirs" });
    expect(step).toEqual({ do: "answer", answer: "exists", found: "theirs" });
  });

  test("what existed and is gone was cleaned up: the number was used", () => {
    const step = tell(new Intent<string>(), { saw: "exists" }, { saw: "absent" });
    expect(step).toEqual({ do: "answer", answer: "exists", found: undefined });
  });

  test("what cannot be read back is read again, later each time", () => {
    const intent = new Intent<string>();
    expect(tell(intent, { saw: "unknown" }, { saw: "failed" })).toEqual({ do: "pause", tries: 1 });
    expect(intent.on({ saw: "waited" })).toEqual({ do: "read back" });
    expect(intent.on({ saw: "failed" })).toEqual({ do: "pause", tries: 2 });
  });

  test("an event that was not asked for is a fault of the executor", () => {
    expect(() => tell(new Intent<string>(), { saw: "ours" })).toThrow("creating");
    expect(() => tell(new Intent<string>(), { saw: "created" }, { saw: "created" })).toThrow("answered");
  });
});

test("over any bucket that loses and delays, the answer is the truth, and one of two intents wins", () => {
  // Each request: lost before it, lost after it, late until the end, or answered.
  const fates = fc.array(fc.constantFrom("lost", "unheard", "late", "answered"), { maxLength: 60 });
  fc.assert(
    fc.property(fates, fc.array(fc.boolean(), { maxLength: 60 }), (draws, turns) => {
      let stored: string | undefined;
      const late: (() => void)[] = [];
      const create = (id: string) => (): "created" | "exists" => {
        if (stored !== undefined) return "exists";
        stored = id;
        return "created";
      };
      const ask = <T>(effect: () => T): T | undefined => {
        const fate = draws.pop() ?? "answered";
        if (fate === "late") late.push(effect);
        if (fate === "lost" || fate === "late") return undefined;
        const answer = effect();
        return fate === "answered" ? answer : undefined;
      };
      const sides = ["a", "b"].map((id) => ({
        id,
        intent: new Intent<string>(),
        step: { do: "create" } as IntentStep<string>,
      }));
      for (const side of sides) side.step = side.intent.start();
      const move = (side: (typeof sides)[number]): void => {
        if (side.step.do === "create") side.step = side.intent.on({ saw: ask(create(side.id)) ?? "unknown" });
        else if (side.step.do === "pause") side.step = side.intent.on({ saw: "waited" });
        else if (side.step.do === "read back") {
          const found = ask(() => stored ?? "");
          if (found === undefined) side.step = side.intent.on({ saw: "failed" });
          else if (found === "") side.step = side.intent.on({ saw: "absent" });
          else if (found === side.id) side.step = side.intent.on({ saw: "ours" });
          else side.step = side.intent.on({ saw: "other", found });
        }
      };
      for (const turn of turns) {
        move(sides[turn ? 1 : 0] as (typeof sides)[number]);
        if (turns.length % 3 === 0) late.shift()?.();
      }
      while (sides.some(({ intent }) => intent.isOpen)) sides.forEach(move);
      for (const effect of late) effect();
      for (const { id, step } of sides) {
        expect(step).toMatchObject({ do: "answer", answer: stored === id ? "created" : "exists" });
      }
    }),
    { numRuns: 500 },
  );
});
