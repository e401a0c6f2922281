// The demo's server as somebody meets it who starts it twice.

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort, type MailServer, startServer } from "../src/demo/server.ts";
import { removeFolder, scratchFolder, startMail } from "./support/mail.ts";

let folder: string;
let server: MailServer;

beforeEach(async () => {
  folder = await scratchFolder();
  server = await startMail(folder);
});

afterEach(async () => {
  await server.stop();
  await removeFolder(folder);
});

test("a second start says where the first one is and how to stop it, and leaves its log alone", async () => {
  const logFile = path.join(folder, "server.log");
  const before = readFileSync(logFile, "utf8");
  const second = startServer({ folder, port: await freePort(), smtpPort: await freePort() });
  const { port, pid } = server;
  await expect(second).rejects.toThrow(
    new RegExp(`^the demo already runs: http://127\\.0\\.0\\.1:${port}/ \\(process ${pid}\\)\n.*kill ${pid}\n.*--data`),
  );
  expect(before).toContain("ready on");
  expect(readFileSync(logFile, "utf8").startsWith(before)).toBe(true);
});

test("the answer of another server at the wanted port is not taken for one's own", async () => {
  const other = await scratchFolder();
  try {
    const second = startServer({ folder: other, port: server.port, smtpPort: await freePort() });
    await expect(second).rejects.toThrow("another program listens there");
  } finally {
    await removeFolder(other);
  }
});
