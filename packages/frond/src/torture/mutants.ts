// Broken builds: each takes one rule out of the runtime, as somebody who had not thought of it would have written it.
//
// Rule: they live here and in the process under torture only; the product has no switch. Each must be caught by the same
// checks that the real build passes, or the checks do not check that rule.
// How: methods of prototypes are replaced before the node is opened. What a mutant replaces exists, by its type; that it
// still breaks what it says is shown by the test that catches it.

import { Committer } from "../cell/commit.ts";
import { InputGate } from "../cell/gate.ts";
import { type Caller, invocations } from "../cell/invocation.ts";
import { LiveCell } from "../cell/live.ts";
import { Transactions } from "../cell/transactions.ts";
import { hear, type Watermarks } from "../cell/watermarks.ts";
import { SlotTable } from "../core/slots.ts";
import { Calls } from "../server/cells/calls.ts";
import { Keeper } from "../server/persist/keeper.ts";
import { Catalog } from "../store/catalog.ts";
import type { Epoch, Lsn } from "../types.ts";
import type { Breakage } from "./breakage.ts";

/** A caller that hears nothing of what `real` would have to wait for: it knows what is given, and keeps apart what it hears. */
function deaf(real: Caller, { lsn, bucketLsn }: Watermarks): Caller & { readonly heard: Watermarks } {
  const { invocation, fail } = real;
  const heard = { lsn: NOTHING, bucketLsn: NOTHING };
  return {
    heard,
    invocation,
    fail,
    get lsn() {
      return lsn;
    },
    set lsn(value: Lsn) {
      heard.lsn = value;
    },
    get bucketLsn() {
      return bucketLsn;
    },
    set bucketLsn(value: Lsn) {
      heard.bucketLsn = value;
    },
  };
}

const NOTHING = 0 as Lsn;
const IGNORANT: Watermarks = { lsn: NOTHING, bucketLsn: NOTHING };

const { run } = Calls.prototype;

/** An answer that is an error leaves at once. */
function errorsAreNotGated(): void {
  Calls.prototype.run = async function (event, cell) {
    const caller = deaf(event.caller, event.caller);
    const value = await run.call(this, { ...event, caller }, cell);
    hear(caller.heard, event.caller);
    return value;
  };
}

/** An answer waits for the commits of the cell that gives it, and not for what that cell has heard of. */
function watermarksAreNotMerged(): void {
  Calls.prototype.run = function (event, cell) {
    if (event.caller.invocation === undefined) return run.call(this, event, cell);
    return run.call(this, { ...event, caller: deaf(event.caller, IGNORANT) }, cell);
  };
}

/** Between cells the watermark of the disk is merged, and that of the bucket forgotten. */
function bucketIsNotMerged(): void {
  Calls.prototype.run = function (event, cell) {
    const { caller } = event;
    if (caller.invocation === undefined) return run.call(this, event, cell);
    const half = deaf(caller, { lsn: caller.lsn, bucketLsn: NOTHING });
    return run.call(this, { ...event, caller: half }, cell).finally(() => {
      hear({ ...half.heard, bucketLsn: NOTHING }, caller);
    });
  };
}

/** Whoever writes while a stretch is open writes into it; a microtask commits it. */
function stretchesAreShared(): void {
  const { enter } = LiveCell.prototype;
  const { commitOpenStretch } = Transactions.prototype;
  LiveCell.prototype.enter = function () {
    const { owner } = this.tx;
    const invocation = invocations.getStore();
    if (owner === undefined || owner === invocation || invocation === undefined || this.tx.isMidway) {
      return enter.call(this);
    }
    return owner;
  };
  const { invoke } = LiveCell.prototype;
  LiveCell.prototype.invoke = function (...args) {
    // The beginning of a call does not end the open stretch either: the first thing that `invoke` asks for.
    Transactions.prototype.commitOpenStretch = () => {
      Transactions.prototype.commitOpenStretch = commitOpenStretch;
    };
    try {
      return invoke.apply(this, args);
    } finally {
      Transactions.prototype.commitOpenStretch = commitOpenStretch;
    }
  };
}

/** A deletion empties the cell and is not logged. */
function deletionsAreNotLogged(): void {
  Committer.prototype.bury = function (_address, _bytes, _slot, entry) {
    entry.deleted = true;
    return entry;
  };
}

/** A transaction over awaits lets everybody else in, and what they write becomes a part of it. */
function longTransactionsLetIn(): void {
  InputGate.prototype.acquire = () => Promise.resolve();
  const { enter } = LiveCell.prototype;
  LiveCell.prototype.enter = function () {
    const scope = this.tx.exclusive;
    const invocation = invocations.getStore();
    if (scope === undefined || invocation?.cell !== this || invocation.done) return enter.call(this);
    return scope;
  };
  const { isMidway } = Object.getOwnPropertyDescriptors(Transactions.prototype);
  Object.defineProperty(Transactions.prototype, "isMidway", {
    get(this: Transactions) {
      return (isMidway.get as () => boolean).call(this) && (this.inPart || this.owner?.sync === true);
    },
  });
}

/** What the directory knows of a slot stands above what the bucket says of it, whoever has owned it meanwhile. */
function localFilesAreTrusted(): void {
  const { put, find } = Catalog.prototype;
  Catalog.prototype.forget = () => {};
  Catalog.prototype.forgetSlot = () => {};
  Catalog.prototype.put = function (entry) {
    const isOfBucket = entry.place === 0;
    if (!isOfBucket || find.call(this, entry.address) === undefined) put.call(this, entry);
  };
}

/** A lapse is not noticed: whoever asks is answered. */
function lapsesAreNotNoticed(): void {
  const { attach } = Keeper.prototype;
  Object.defineProperty(Keeper.prototype, "believed", { get: () => true });
  Keeper.prototype.attach = function (host) {
    attach.call(this, { commitLog: host.commitLog, learned: (cells) => host.learned(cells), runEnded() {} });
  };
}

/** On another disk a slot goes on in the epoch that was lost with the one before: positions are given a second time. */
function positionsAreReused(): void {
  const { opened } = SlotTable.prototype;
  SlotTable.prototype.opened = function (slot, epoch, txid) {
    const before = epoch - 1;
    opened.call(this, slot, before > this.epoch(slot) ? (before as Epoch) : epoch, txid);
  };
}

const MUTANTS: Partial<Record<Breakage, () => void>> = {
  "ungated-errors": errorsAreNotGated,
  "unmerged-watermarks": watermarksAreNotMerged,
  "unmerged-bucket": bucketIsNotMerged,
  "shared-stretches": stretchesAreShared,
  "no-tombstone": deletionsAreNotLogged,
  "open-transaction": longTransactionsLetIn,
  "trusted-files": localFilesAreTrusted,
  "serving-after-lapse": lapsesAreNotNoticed,
  "reused-positions": positionsAreReused,
};

/** Breaks this process, if the breakage is a mutant of methods. */
export function mutate(broken: Breakage): void {
  MUTANTS[broken]?.();
}
