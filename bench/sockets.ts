// Messages of WebSockets a second: clients in this process send, cells in a node on the other core echo.
//
// Rule: each client has a bounded number of messages on their way and sends the next when one has come back, so what is
// counted was received. Bare `ws` without cells, on the same core, stands beside it.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { WebSocket } from "ws";
import { readArguments } from "./inprocess.ts";
import { pinned, SERVER_CORE } from "./machine.ts";
import { spread } from "./method.ts";
import { startNode } from "./nodeProcess.ts";
import { freePort, startServer } from "./processes.ts";
import type { Figure } from "./report.ts";

const { directory, quick } = readArguments();
const RUNS = quick ? 1 : 5;
const RUN_MS = quick ? 300 : 3000;
const CLIENTS = 64;
const ON_THE_WAY = 8;

async function echoes(urls: readonly string[]): Promise<number> {
  const sockets = urls.map((url) => new WebSocket(url, { perMessageDeflate: false }));
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  let received = 0;
  let going = true;
  for (const socket of sockets) {
    socket.on("message", () => {
      received += 1;
      if (going) socket.send("a message of some thirty bytes");
    });
  }
  const began = performance.now();
  for (const socket of sockets) for (let i = 0; i < ON_THE_WAY; i++) socket.send("a message of some thirty bytes");
  await new Promise((resolve) => setTimeout(resolve, RUN_MS));
  going = false;
  const rate = received / ((performance.now() - began) / 1000);
  for (const socket of sockets) socket.terminate();
  return rate;
}

async function measured(urls: readonly string[]): Promise<number[]> {
  await echoes(urls);
  const rates: number[] = [];
  while (rates.length < RUNS) rates.push(await echoes(urls));
  return rates;
}

const data = mkdtempSync(join(directory, "frond-bench-sockets-"));
const node = await startNode(join(data, "data"), "/counter/x");
const port = await freePort();
const bare = await startServer({
  name: "bare ws",
  command: pinned(SERVER_CORE, [process.execPath, join(import.meta.dirname, "targets/bare-ws.ts"), String(port)]),
  ready: async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(socket, "open");
    socket.terminate();
  },
});
try {
  const of = (base: string): string[] => Array.from({ length: CLIENTS }, (_, i) => `ws://127.0.0.1:${base}${i}`);
  const bareRates = await measured(of(`${port}/`));
  const cellRates = await measured(of(`${node.port}/echo/room-`));
  const figures: Figure[] = [
    { title: `echoes of bare \`ws\`, ${CLIENTS} sockets`, unit: "messages/s", value: spread(bareRates), runs: RUNS },
    { title: "echoes of cells, a socket each", unit: "messages/s", value: spread(cellRates), runs: RUNS },
  ];
  console.log(JSON.stringify(figures));
} finally {
  await bare.stop();
  await node.kill("SIGTERM");
  rmSync(data, { recursive: true, force: true });
}
