// The slots of this run: which epoch each has, and which txid its next record gets.
//
// Rule (I3): an epoch rises at every claim, a restart included; txids rise by one with every record of a slot and go on
// over epochs. A slot is claimed at its first write in a run, and the claim stands in the log before that write.
// Plain arrays: this is looked at once per commit.

import { assert } from "../assert.ts";
import { SLOTS } from "../limits.ts";
import type { Epoch, Position, Slot, Txid } from "../types.ts";

/** What a claim states: the new epoch, and where the epoch before ended. */
export interface Claim {
  readonly slot: Slot;
  readonly epoch: Epoch;
  readonly previousEpoch: Epoch;
  /** Last surviving txid of the epoch before; 0 = none. */
  readonly txid: Txid;
}

/** Epoch and txid of every slot. One per node. */
export class SlotTable {
  readonly #epochs = new Array<number>(SLOTS).fill(0);
  readonly #txids = new Array<number>(SLOTS).fill(0);
  readonly #claimed = new Uint8Array(SLOTS);
  readonly #open = new Uint8Array(SLOTS);

  /** Takes over what is known of the past of a slot, before the run claims anything. */
  load(slot: Slot, position: Position): void {
    assert(this.#claimed[slot] === 0, "the past of a slot is loaded before it is claimed");
    if (position.epoch < this.epoch(slot)) return;
    assert(position.txid >= this.txid(slot), "txids go on over epochs");
    this.#epochs[slot] = position.epoch;
    this.#txids[slot] = position.txid;
  }

  epoch(slot: Slot): Epoch {
    return this.#epochs[slot] as Epoch;
  }

  /** The txid of the last record. */
  txid(slot: Slot): Txid {
    return this.#txids[slot] as Txid;
  }

  /** The run owns the slot and serves it. */
  isOpen(slot: Slot): boolean {
    return this.#open[slot] === 1;
  }

  /**
   * The bucket says that the run owns the slot in `epoch`, and `txid` is the last one that survives of the epochs before. From
   * here on the slot is served; the claim stands in the log before its first record.
   */
  opened(slot: Slot, epoch: Epoch, txid: Txid): void {
    assert(this.#open[slot] === 0 && this.#claimed[slot] === 0, "a run opens a slot once");
    assert(epoch > this.epoch(slot), "an epoch rises at every claim");
    this.#epochs[slot] = epoch - 1;
    this.#txids[slot] = txid;
    this.#open[slot] = 1;
  }

  /** Nothing that was loaded is true: the bucket will say. */
  forget(): void {
    this.#epochs.fill(0);
    this.#txids.fill(0);
  }

  /** A further run begins in this process: it owns nothing yet, and knows what the one before knew. */
  newRun(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      // An epoch that was opened without a record is spent all the same.
      if (this.#open[slot] === 1 && this.#claimed[slot] === 0) this.#epochs[slot] = (this.#epochs[slot] as number) + 1;
    }
    this.#open.fill(0);
    this.#claimed.fill(0);
  }

  /** This run has claimed the slot in its log. */
  isClaimed(slot: Slot): boolean {
    return this.#claimed[slot] === 1;
  }

  /** The claim that this run must log before its first record of the slot. */
  planClaim(slot: Slot): Claim {
    assert(this.#claimed[slot] === 0, "a run claims a slot once");
    const previousEpoch = this.epoch(slot);
    return { slot, epoch: (previousEpoch + 1) as Epoch, previousEpoch, txid: this.txid(slot) };
  }

  /** The claim is in the log. */
  claimed(claim: Claim): void {
    assert(claim.epoch === this.epoch(claim.slot) + 1, "an epoch rises by one");
    this.#epochs[claim.slot] = claim.epoch;
    this.#claimed[claim.slot] = 1;
  }

  /** The record with `txid` is in the log. */
  advanced(slot: Slot, txid: Txid): void {
    assert(this.#claimed[slot] === 1, "a slot is claimed before its first record");
    assert(txid === this.txid(slot) + 1, "txids rise by one without gaps");
    this.#txids[slot] = txid;
  }
}
