// The process that is killed while alarms are armed and fire: a node with real clock and disk, spoken to over IPC.
//
// Rule: an answer is sent when what it tells is durable, and never otherwise. The cells write down each run of an alarm, in
// its transaction, with the time at which it began: that is all the evidence there is.

import { setTimeout as sleep } from "node:timers/promises";
import { frond } from "../cell/app.ts";
import { Cell } from "../cell/cell.ts";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { createLogger } from "../server/logger.ts";
import { openNode } from "../server/openNode.ts";
import type { Address } from "../types.ts";

/** How a build may be broken: its clock goes ahead; it looks into no index; it forgets what was armed while it runs. */
export type AlarmBreakage = "clock-ahead" | "no-index" | "no-news";

/** What the process is made of. */
export interface AlarmsConfig {
  readonly directory: string;
  readonly broken: AlarmBreakage | undefined;
}

/** What it is asked, numbered. */
export interface WakerCall {
  readonly id: number;
  readonly cell: string;
  readonly verb: "arm" | "plan" | "planSlow" | "cancel" | "fired";
  readonly args: readonly unknown[];
}

/** What it tells: that it serves, or the answer to a call. */
export type AlarmsMessage =
  | { readonly what: "ready" }
  | { readonly what: "answer"; readonly id: number; readonly value?: unknown };

/** One run of an alarm. */
export interface Fired {
  readonly token: string;
  readonly at: number;
}

class Waker extends Cell {
  static override migrations = [
    `CREATE TABLE fired (token TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
     CREATE TABLE hook (id INTEGER PRIMARY KEY, token TEXT NOT NULL) STRICT;`,
  ];
  /** Arms the hook's alarm, instead of the one before. */
  arm(token: string, due: number) {
    this.sql`INSERT OR REPLACE INTO hook VALUES (1, ${token})`;
    void this.ctx.storage.setAlarm(due);
  }
  plan(token: string, due: number) {
    return this.schedule(due, "_fire", token);
  }
  planSlow(token: string, due: number) {
    return this.schedule(due, "_fireSlowly", token);
  }
  cancel(id: number) {
    return this.unschedule(id);
  }
  fired() {
    return this.sql.all<{ token: string; at: number }>`SELECT token, at FROM fired`;
  }
  override alarm() {
    this._fire(this.sql.one<{ token: string }>`SELECT token FROM hook`.token);
  }
  _fire(token: string) {
    this.sql`INSERT INTO fired VALUES (${token}, ${Date.now()})`;
  }
  async _fireSlowly(token: string) {
    const at = Date.now();
    await sleep(20);
    this.sql`INSERT INTO fired VALUES (${token}, ${at})`;
  }
}

async function main(config: AlarmsConfig): Promise<void> {
  const tell = (message: AlarmsMessage): void => void process.send?.(message);
  const ahead: Clock = { ...systemClock, now: () => Date.now() + 400 };
  const node = await openNode({
    app: frond({
      cells: { waker: Waker },
      start({ get }) {
        process.on("message", (call: WakerCall) => {
          const stub = get(Waker, call.cell) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
          // What fails says nothing: the harness takes it as unheard.
          stub[call.verb]?.(...call.args).then(
            (value) => tell({ what: "answer", id: call.id, value }),
            () => {},
          );
        });
      },
    }),
    dataDirectory: config.directory,
    durability: "disk",
    log: createLogger({ level: "error", write: (line) => void process.stderr.write(line) }),
    // Small, so that rows reach the catalog in between.
    logFileBytes: 64 * 1024,
    maxOpenCells: 8,
    ...(config.broken === "clock-ahead" && { clock: ahead }),
  });
  if (config.broken === "no-index") {
    node.ledger.alarms = () => ({ list: [], complete: true, through: { address: "" as Address, due: 0 } });
  }
  if (config.broken === "no-news") node.alarms.changed = () => {};
  await node.startServices();
  process.on("disconnect", () => process.exit(0));
  tell({ what: "ready" });
}

await main(JSON.parse(process.argv[2] ?? "{}") as AlarmsConfig);
