// Sealing the log of a run that is dead: core/sealing, carried out.
//
// Rule: nothing is decided here; the bytes of a seal stay the same for as long as its create is open at one number. It says
// where the log ends, which the last segment told: so clean-up may remove that one and the end is known all the same.

import { randomBytes } from "node:crypto";
import { Sealing, type SealingEvent, type SealingStep } from "../core/sealing.ts";
import { encodeSeal } from "../codec/objectWriter.ts";
import { FrondError } from "../errors.ts";
import type { Lsn, RunId, Seq } from "../types.ts";
import type { LogHands } from "./logHands.ts";

/** Ends a run's log for ever and tells at which number. Throws OBJECT_DAMAGED when nobody can say where it ends. */
export async function sealRun(hands: LogHands, runId: RunId, createdMs: number): Promise<Seq> {
  const sealing = new Sealing();
  let seal: { readonly seq: Seq; readonly bytes: Buffer } | undefined;
  let toLsn = 0 as Lsn;
  const bytesAt = (seq: Seq): Buffer => {
    if (seal?.seq !== seq) {
      seal = { seq, bytes: encodeSeal({ intent: randomBytes(16), runId, number: seq, toLsn, createdMs }) };
    }
    return seal.bytes;
  };
  for (let step = sealing.start(); ;) {
    if (step.do === "sealed") return step.seal;
    if (step.do === "stop") {
      throw new FrondError("OBJECT_DAMAGED", `the log of run ${runId}, number ${step.seq}: ${step.why}`);
    }
    const event = await perform(hands, step, bytesAt);
    if ("found" in event && event.found.is === "segment") toLsn = event.found.to;
    step = sealing.on(event);
  }
}

function perform(
  hands: LogHands,
  step: Exclude<SealingStep, { do: "sealed" | "stop" }>,
  bytesAt: (seq: Seq) => Buffer,
): Promise<SealingEvent> {
  switch (step.do) {
    case "list":
      return hands.list();
    case "read":
      return hands.read(step.seq);
    case "create":
      return hands.create(step.seq, bytesAt(step.seq));
    case "read back":
      return hands.readBack(step.seq, bytesAt(step.seq));
    case "pause":
      return hands.pause(step.tries);
    case "read base":
      return hands.base();
  }
}
