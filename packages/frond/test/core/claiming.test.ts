// The ownership of a slot: what the next record says, and when a claim may be served.

import { describe, expect, test } from "vitest";
import {
  Claiming,
  type ClaimEvent,
  type ClaimStep,
  planSlotClaim,
  type SlotRecord,
  type Source,
  uncovered,
} from "../../src/core/claiming.ts";
import type { Epoch, RunId, Seq, Txid } from "../../src/types.ts";

const seq = (n: number): Seq => n as Seq;
const epoch = (n: number): Epoch => n as Epoch;
const run = (name: string): RunId => name as RunId;
const source = (n: number, name: string, from: number, to: number): Source => ({
  epoch: epoch(n),
  run: run(name),
  from: seq(from),
  to: seq(to),
});
const RECORD: SlotRecord = {
  epoch: epoch(3),
  run: run("c"),
  from: seq(4),
  before: { epoch: epoch(2), txid: 20 as Txid },
  sources: [source(1, "a", 1, 5), source(2, "b", 2, 9)],
  covered: undefined,
};
const claimer = { run: run("d"), from: seq(1), txid: 33 as Txid };

describe("the next record", () => {
  test("of a slot that nobody owned", () => {
    const record = planSlotClaim({
      newest: undefined,
      seal: undefined,
      covered: undefined,
      ...claimer,
      txid: 0 as Txid,
    });
    const nothing = { sources: [], covered: undefined };
    expect(record).toEqual({ epoch: 1, run: "d", from: 1, before: { epoch: 0, txid: 0 }, ...nothing });
  });

  test("of a slot that only a directory knows, from before it had a bucket", () => {
    const adopted = { epoch: epoch(4), sources: [source(4, "a", 1, 3), source(4, "b", 1, 2)] };
    const facts = { newest: undefined, seal: undefined, covered: undefined, ...claimer, adopted };
    expect(planSlotClaim(facts)).toMatchObject({ epoch: 5, before: { epoch: 4, txid: 33 }, sources: adopted.sources });
    // What the bucket says goes before.
    const record = planSlotClaim({ ...facts, newest: RECORD, seal: seq(7) });
    expect(record.sources).toEqual([...RECORD.sources, source(3, "c", 4, 7)]);
  });

  test("carries the sources before it, the sealed range of the owner before, and where its epoch ended", () => {
    const record = planSlotClaim({ newest: RECORD, seal: seq(7), covered: undefined, ...claimer });
    expect(record.epoch).toBe(4);
    expect(record.before).toEqual({ epoch: 3, txid: 33 });
    expect(record.sources).toEqual([...RECORD.sources, source(3, "c", 4, 7)]);
  });

  test("leaves out what a checkpoint covers, and an owner who wrote nothing", () => {
    const covered = { epoch: epoch(2), seq: seq(6) };
    const record = planSlotClaim({ newest: RECORD, seal: seq(4), covered, ...claimer });
    expect(record.sources).toEqual([source(2, "b", 6, 9)]);
    expect(record.covered).toEqual(covered);
    // Its log was sealed below the number at which its claim said it would begin.
    expect(planSlotClaim({ newest: RECORD, seal: seq(2), covered, ...claimer }).sources).toHaveLength(1);
  });

  test("says for ever that the history begins with a checkpoint, and with which one", () => {
    const [early, late] = [
      { epoch: epoch(2), seq: seq(6) },
      { epoch: epoch(2), seq: seq(7) },
    ];
    const before = { ...RECORD, sources: [source(2, "b", 6, 9)], covered: early };
    const next = (covered: typeof early | undefined): SlotRecord =>
      planSlotClaim({ newest: before, seal: seq(7), covered, ...claimer });
    expect(next(undefined)).toMatchObject({ covered: early, sources: [source(2, "b", 6, 9), source(3, "c", 4, 7)] });
    expect(next(late)).toMatchObject({ covered: late, sources: [source(2, "b", 7, 9), source(3, "c", 4, 7)] });
    expect(next({ epoch: epoch(1), seq: seq(9) }).covered).toEqual(early);
  });

  test("knows two ownerships of one run from each other", () => {
    const sources = [source(1, "a", 1, 5), source(2, "b", 1, 3), source(3, "a", 5, 8)];
    expect(uncovered(sources, { epoch: epoch(1), seq: seq(5) })).toEqual(sources.slice(1));
    expect(uncovered(sources, { epoch: epoch(3), seq: seq(5) })).toEqual(sources.slice(2));
    expect(uncovered(sources, undefined)).toEqual(sources);
    expect(uncovered(sources, { epoch: epoch(4), seq: seq(1) })).toEqual([]);
  });

  test("is not made while the log of the owner is open, nor twice by one run, nor with txids that go back", () => {
    expect(() => planSlotClaim({ newest: RECORD, seal: undefined, covered: undefined, ...claimer })).toThrow(
      "has ended",
    );
    const again = { newest: RECORD, seal: seq(7), covered: undefined, ...claimer };
    expect(() => planSlotClaim({ ...again, run: run("c") })).toThrow("once");
    expect(() => planSlotClaim({ ...again, txid: 19 as Txid })).toThrow("txids");
  });
});

describe("a claim", () => {
  const begun = (): Claiming => {
    const claiming = new Claiming(RECORD);
    expect(claiming.start()).toEqual({ do: "create", epoch: 3 });
    return claiming;
  };
  const tell = (claiming: Claiming, ...events: ClaimEvent[]): ClaimStep =>
    events.map((event) => claiming.on(event)).at(-1) as ClaimStep;

  test("that was created is owned when nothing newer stands", () => {
    const claiming = begun();
    expect(tell(claiming, { saw: "created" })).toEqual({ do: "list newer", epoch: 3 });
    expect(claiming.isOpen).toBe(true);
    expect(tell(claiming, { saw: "newest", epoch: epoch(3) })).toEqual({ do: "owned" });
    expect(claiming.isOpen).toBe(false);
  });

  test("that was created is void when something newer stands", () => {
    expect(tell(begun(), { saw: "created" }, { saw: "newest", epoch: epoch(5) })).toEqual({ do: "superseded", by: 5 });
  });

  test("is open while nobody knows, and until newer records were listed", () => {
    const claiming = begun();
    expect(tell(claiming, { saw: "unknown" }, { saw: "absent" })).toEqual({ do: "pause", tries: 1 });
    expect(claiming.isOpen).toBe(true);
    expect(tell(claiming, { saw: "waited" }, { saw: "exists" })).toEqual({ do: "read back", epoch: 3 });
    expect(tell(claiming, { saw: "ours" }, { saw: "failed" })).toEqual({ do: "pause", tries: 1 });
    expect(tell(claiming, { saw: "waited" })).toEqual({ do: "list newer", epoch: 3 });
    expect(claiming.isOpen).toBe(true);
  });

  test("that somebody else won says who", () => {
    const theirs = { ...RECORD, run: run("x") };
    const found: ClaimEvent = { saw: "other", found: theirs };
    expect(tell(begun(), { saw: "exists" }, found)).toEqual({ do: "lost", to: theirs });
    expect(tell(begun(), { saw: "exists" }, { saw: "absent" })).toEqual({ do: "lost", to: undefined });
  });
});
