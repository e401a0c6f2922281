// A node goes on as a further run after its lease has lapsed.
//
// Rule: a lapse is final for the run, not for the process. Nothing runs and nothing is written from the lapse until the bucket
// is back; then the log of the old run is made whole and sealed, and the node serves again as a new run, with new epochs. Cells
// are closed in between and opened again when they are asked for; sockets stay. Where somebody else has sealed the log
// meanwhile, what this process knows is not true any more: it ends, and its next start learns what is.

import { randomBytes } from "node:crypto";
import path from "node:path";
import type { Committer } from "../../cell/commit.ts";
import type { SlotTable } from "../../core/slots.ts";
import { REST_GRACE_MS } from "../../limits.ts";
import type { RunId, RunNumber } from "../../types.ts";
import { bootId } from "../boot.ts";
import type { Host } from "../cells/host.ts";
import { type Keeper, leaseLapsed } from "../persist/keeper.ts";
import type { Ledger } from "../cells/ledger.ts";
import type { NodeOptions } from "../nodeOptions.ts";
import { makeRunFolder, UNENDED } from "../cells/recover.ts";
import type { Catalog } from "../../store/catalog.ts";
import type { CommitLog } from "../../log/log.ts";

/** The parts of a node that go on. */
export interface NodeParts {
  readonly options: NodeOptions;
  readonly catalog: Catalog;
  readonly commitLog: CommitLog;
  readonly ledger: Ledger;
  readonly host: Host;
  readonly slots: SlotTable;
  readonly committer: Committer;
  readonly keeper: Keeper;
}

/** Resolves when the node serves again. Rejects when it cannot. */
export async function nextRun(node: NodeParts): Promise<void> {
  const { catalog, commitLog, ledger, host, slots, committer, keeper, options } = node;
  await host.settle(REST_GRACE_MS, leaseLapsed);
  await commitLog.flushed();
  await ledger.flush();
  host.closeAll();
  const old = commitLog.run;
  const run = (old + 1) as RunNumber;
  const id = randomBytes(16);
  catalog.putRun({ run, id: id.toString("hex"), boot: options.boot ?? bootId(), startedMs: Date.now(), ...UNENDED });
  makeRunFolder(path.join(options.dataDirectory, "log"), run, id.toString("hex"));
  const seal = await keeper.renew({ run, runId: id.toString("hex") as RunId, firstLsn: commitLog.appended });
  const row = catalog.runs().find((known) => known.run === old);
  if (row !== undefined) catalog.putRun({ ...row, ended: "unclean", seal });
  await commitLog.beginRun(run);
  committer.runId = id;
  slots.newRun();
  host.resume();
}
