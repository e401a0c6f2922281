// Opening slots in the background: those that somebody has owned, when a node starts.
//
// Rule (I8): an alarm of a cell that the directory has never heard of fires only once its slot is open, so every slot is opened
// sooner or later. One that cannot be keeps none of the others from it, and is tried again, less and less often; a lapse of
// the lease is waited for, and the run after it goes on.
// Rejected: leaving the rest to whoever asks for a cell (nobody asks for an alarm).

import { setTimeout as sleep } from "node:timers/promises";
import { OPEN_RETRY_MAX_MS, OPEN_RETRY_MS } from "../../limits.ts";
import type { Slot } from "../../types.ts";

/** Who opens slots. */
export interface SlotOpener {
  /** The lease is believed. */
  readonly believed: boolean;
  /** Nothing is opened any more. */
  readonly stopped: boolean;
  isOpen(slot: Slot): boolean;
  open(slot: Slot): Promise<void>;
}

/** Opens slots, `atOnce` at a time. `failed` hears of each that could not be opened, and why. */
export async function openEach(
  opener: SlotOpener,
  slots: readonly Slot[],
  atOnce: number,
  failed: (slot: Slot, error: unknown) => void,
): Promise<void> {
  const waiting = slots.filter((slot) => !opener.isOpen(slot));
  const openNext = async (): Promise<void> => {
    for (let slot = waiting.pop(); slot !== undefined; slot = waiting.pop()) {
      if (opener.stopped) return;
      try {
        if (!opener.isOpen(slot)) await opener.open(slot);
      } catch (error) {
        failed(slot, error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, openNext));
}

/** Opens slots until all are open, or nothing is opened any more. `failed` hears of each once, while the lease is believed. */
export async function openUntilOpen(
  opener: SlotOpener,
  slots: readonly Slot[],
  atOnce: number,
  failed: (slot: Slot, error: unknown) => void,
): Promise<void> {
  const told = new Set<Slot>();
  for (let pause = OPEN_RETRY_MS; !opener.stopped;) {
    if (opener.believed) {
      await openEach(opener, slots, atOnce, (slot, error) => {
        if (told.has(slot) || !opener.believed || opener.stopped) return;
        told.add(slot);
        failed(slot, error);
      });
      if (slots.every((slot) => opener.isOpen(slot))) return;
      // After a lapse nothing has failed.
      pause = opener.believed ? Math.min(pause * 2, OPEN_RETRY_MAX_MS) : OPEN_RETRY_MS;
    }
    await sleep(pause, undefined, { ref: false });
  }
}
