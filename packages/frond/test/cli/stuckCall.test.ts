// A verb that an operator calls and that holds the event loop: the command hears how it ended, as any caller does.

import { expect, onTestFinished, test } from "vitest";
import { Folder, frond, Running } from "./command.ts";
import { STUCK_APP } from "./stuckApp.ts";

test("frond call hears of a verb that was ended, however it had to be", async () => {
  const folder = new Folder(STUCK_APP);
  onTestFinished(() => folder.remove());
  const node = new Running(folder, ["start", "app.ts", "--listen", "0", "--max-sync-ms", "600"]);
  onTestFinished(() => void node.child.kill("SIGKILL"));
  await node.ready();
  for (const verb of ["loop", "later", "statements"]) {
    const called = await frond(folder, ["call", `counter/${verb}`, verb]);
    expect(called.err).toContain(`error TERMINATED: counter/${verb}.${verb} held the event loop`);
    expect(called.code).toBe(1);
  }
  expect(await frond(folder, ["call", "counter/loop", "sum"])).toMatchObject({ code: 0, out: "0\n" });
});
