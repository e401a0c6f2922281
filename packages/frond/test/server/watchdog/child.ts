// A process with a watchdog and a host that writes down what it is told; `argv[2]` names what it gets stuck in.
//
// It stands for a node: its frames are the app's, and its one cell is whoever is in `cells`.

import { AsyncLocalStorage } from "node:async_hooks";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { Marker } from "../../../src/store/marker.ts";
import { Watchdog } from "../../../src/server/watch/watchdog.ts";

const [, , how = "", directory = "."] = process.argv;
const cells = new AsyncLocalStorage<{ address: string; verb: string; failed?: Error }>();
const marker = new Marker(true);
const say = (line: object): void => console.log(JSON.stringify(line));

let critical = false;
const watchdog = Watchdog.start({
  host: {
    marker,
    describe: () => cells.getStore(),
    critical: () => critical,
    condemn(error) {
      (cells.getStore() as { failed?: Error }).failed = error;
    },
    ended: ({ culprit, error, byForce }) => say({ ended: culprit?.verb ?? null, code: error.code, byForce }),
    shaken: () => say({ shaken: true }),
  },
  directory,
  run: 7,
  maxSyncMs: 600,
  logFormat: "json",
  logLevel: "info",
  onFailed: (error) => say({ failed: String(error) }),
});

function loop(): never {
  for (;;);
}

/** A loop that asks something of its cell. */
function ask(): never {
  for (;;) {
    const failed = cells.getStore()?.failed;
    if (failed !== undefined) throw failed;
  }
}

/** A statement that takes for ever. */
function query(): void {
  const db = new DatabaseSync(":memory:");
  const sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
  marker.enter(marker.register("counter/slow"), marker.sqlNumber(sql));
  db.exec(sql);
}

const as = <T>(verb: string, run: () => T): T => cells.run({ address: "counter/a", verb }, run);

const WAYS: Record<string, () => unknown> = {
  timer: () => as("timer", loop),
  tick: () => process.nextTick(() => as("tick", loop)),
  immediate: () => {
    setImmediate(() => as("immediate", loop));
    setImmediate(() => say({ behind: "immediate" }));
  },
  microtask: () => {
    queueMicrotask(() => as("microtask", loop));
    queueMicrotask(() => say({ behind: "microtask" }));
  },
  await: () =>
    as("await", async () => {
      await sleep(5);
      loop();
    }),
  regexp: () => as("regexp", () => /^(a+)+$/.test(`${"a".repeat(40)}b`)),
  log: () =>
    as("log", () => {
      for (;;) process.stderr.write(".");
    }),
  caught: () =>
    as("caught", () => {
      try {
        ask();
      } catch (error) {
        say({ caught: (error as { code: string }).code });
      }
    }),
  swallowed: () =>
    as("swallowed", () => {
      for (;;) {
        try {
          ask();
        } catch {
          // And goes on.
        }
      }
    }),
  outside: () => loop(),
  critical: () => {
    critical = true;
    as("critical", loop);
  },
  sqlite: () => as("sqlite", query),
  native: () => {
    marker.run(marker.register("counter/native"));
    as("native", () => JSON.parse(`[${'{"a":[1,2,3]},'.repeat(12_000_000)}1]`) as unknown);
  },
  debugged: () => say({ watched: watchdog !== undefined }),
  brief: () => {
    const until = Date.now() + 200;
    as("brief", () => {
      while (Date.now() < until);
    });
  },
};

// Settled by whatever is left of the process, once the watch has had its say.
let beats = 0;
setInterval(() => {
  if (++beats < 6) return;
  setImmediate(() => {
    void Promise.resolve().then(async () => {
      say({ alive: true });
      await watchdog?.stop();
      process.exit(0);
    });
  });
}, 150);
await sleep(150);
setTimeout(() => WAYS[how]?.(), 1);
