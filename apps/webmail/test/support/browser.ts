// A real browser for which there is no outside: every name leads to a trap on this machine, which counts who came.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, chromium } from "playwright-core";

/** The browser and the trap. */
export interface TrappedBrowser {
  readonly browser: Browser;
  /** Requests that left for anywhere but `127.0.0.1`, as `host path`. */
  readonly escaped: string[];
  close(): Promise<void>;
}

/** Starts the browser at `executable`. */
export async function openBrowser(executable: string): Promise<TrappedBrowser> {
  const escaped: string[] = [];
  const trap: Server = createServer((request, response) => {
    escaped.push(`${request.headers.host ?? ""} ${request.url ?? ""}`);
    response.end("the trap");
  });
  await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
  const { port } = trap.address() as AddressInfo;
  const browser = await chromium.launch({
    // Without a locale Chromium calls a file whose name is not ASCII "download".
    env: { ...process.env, LC_ALL: "C.UTF-8" },
    executablePath: executable,
    args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * 127.0.0.1:${port}, EXCLUDE 127.0.0.1`],
  });
  return {
    browser,
    escaped,
    close: async () => {
      await browser.close();
      trap.closeAllConnections();
      await new Promise((resolve) => trap.close(resolve));
    },
  };
}
