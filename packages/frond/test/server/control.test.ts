// The control socket as the operator's commands use it: who may reach it, what crosses it, what it refuses.

import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FrondError } from "../../src/errors.ts";
import { SOCKET_NAME, serveControl } from "../../src/server/operator/control.ts";
import { connectControl, viewOf } from "../../src/server/operator/controlClient.ts";
import type { OperatorView } from "../../src/server/operator/controlClient.ts";
import type { NodeControl } from "../../src/server/operator/nodeControl.ts";
import { gate } from "./doors.ts";

function scratch(name = "data"): string {
  const top = mkdtempSync(path.join(tmpdir(), "frond-test-"));
  onTestFinished(() => rmSync(top, { recursive: true, force: true }));
  const folder = path.join(top, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

const VALUES = [null, 1.5, "é", 2n ** 60n, new Uint8Array([0, 255]), Infinity];

const ERASED = {
  hash: "ab",
  epoch: 1,
  txid: 2,
  erasedMs: 3,
  left: { packs: 0, checkpoints: 0, snapshots: 0, commits: 1, files: 0 },
};

/** A node of 2,500 cells, as far as its operator can tell. */
function pretendNode(changes: Partial<NodeControl> = {}): NodeControl {
  const all = Array.from({ length: 2_500 }, (_, i) => `a/${String(i).padStart(5, "0")}`);
  const info = { slot: 1, epoch: 2, txid: 3, bytes: 4096, open: false, changedMs: 5 };
  return {
    version: () => ({ version: "9.9.9", pid: process.pid, run: 7, startedMs: 1, dataDirectory: "/x" }),
    status: () => ({
      ready: true,
      cells: 1,
      openCells: 0,
      failedAlarms: 0,
      logBytes: 0,
      logFiles: 1,
      durability: "disk",
      reports: ["r"],
    }),
    cells: (after, limit) =>
      all
        .filter((address) => after === undefined || address > after)
        .slice(0, limit)
        .map((address) => ({ address, ...info })),
    busiest: (limit) =>
      all.slice(0, limit).map((address) => ({ address, calls: 1, busyMs: 2, running: 3, waiting: 4 })),
    alarms: (after, limit, failedOnly) =>
      after === undefined ? [{ address: "a/b", dueMs: limit, failed: Number(failedOnly) }] : [],
    delete: async () => {},
    alarmsOf: async (address) => [{ id: 1, verb: address, dueMs: 5, tries: 2, cron: "* * * * *" }],
    parked: () => [{ address: "a/b", sinceMs: 5, strikes: [{ atMs: 5, why: "it looped" }] }],
    release: () => {},
    sql: async (address, sql, args, write) => ({
      columns: ["address", "sql", "args", "write", "values"],
      rows: [[address, sql, args, write, ...VALUES]],
      changes: 0,
    }),
    call: async (address, verb, args) =>
      new Map<string, unknown>([[address, { verb, args, at: new Date(0), set: new Set([1]) }]]),
    async exportTo(_address, file) {
      const bytes = Buffer.alloc(300_000, 7);
      writeFileSync(file, bytes, { flag: "wx" });
      return { bytes: bytes.length, files: file.endsWith(".tar") ? 2 : 0 };
    },
    history: async (address, { limit, sinceMs = 0 }) => [
      { epoch: 1, txid: limit, timeMs: sinceMs, pages: address.length, bytes: 4096, what: "changed" },
    ],
    async restoreTo(_address, at, file) {
      writeFileSync(file, JSON.stringify(at), { flag: "wx" });
      return { epoch: 1, txid: 2, timeMs: 3, bytes: statSync(file).size };
    },
    restoreInto: async (_address, at) => ({
      epoch: 1,
      txid: 2,
      timeMs: "atMs" in at ? at.atMs : 0,
      bytes: 4,
      missingFiles: 0,
      now: {
        epoch: 5,
        txid: 6,
      },
    }),
    previewRestore: async () => ({ epoch: 1, txid: 2, timeMs: 3, bytes: 4, tables: [] }),
    erase: async (address) => ({ address, ...ERASED }),
    erasures: async () => [ERASED],
    importFrom: async (address, file, replace) => {
      const what = `${address} ${replace} ${path.extname(file)} ${readFileSync(file, "latin1").slice(0, 20)}`;
      if (address === "a/refused") throw new FrondError("CELL_EXISTS", what);
      return { epoch: 1, txid: what.length, bytes: statSync(file).size, files: 0, missingFiles: 0 };
    },
    ...changes,
  };
}

async function served(directory: string, control: NodeControl = pretendNode()): Promise<OperatorView> {
  const front = await serveControl(directory, control);
  onTestFinished(() => front.stop());
  const view = await connectControl(directory);
  if (view === undefined) throw new Error("nobody answers");
  onTestFinished(() => view.close());
  return view;
}

describe("the socket file", () => {
  test("is of mode 0600, whatever the umask, and the umask is left alone", async () => {
    const directory = scratch();
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    await served(directory);
    expect(statSync(path.join(directory, SOCKET_NAME)).mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(0);
  });

  test("of a dead node counts as no node, and is replaced", async () => {
    const directory = scratch();
    const socket = path.join(directory, SOCKET_NAME);
    const listen = `require("net").createServer().listen(${JSON.stringify(socket)}, () => console.log("up"))`;
    const dead = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
    await once(dead.stdout, "data");
    dead.kill("SIGKILL");
    await once(dead, "exit");
    expect(existsSync(socket)).toBe(true);
    expect(await connectControl(directory)).toBeUndefined();
    const view = await served(directory);
    expect(await view.version()).toMatchObject({ version: "9.9.9", run: 7 });
  });

  test("is gone after a stop, and then no node runs", async () => {
    const directory = scratch();
    const front = await serveControl(directory, pretendNode());
    await front.stop();
    expect(readdirSync(directory)).toEqual([]);
    expect(await connectControl(directory)).toBeUndefined();
    expect(await connectControl(path.join(directory, "nowhere"))).toBeUndefined();
  });

  test("of a directory with a long path lives in a private folder that control.json points to", async () => {
    const directory = scratch(`${"deep/".repeat(30)}data`);
    const front = await serveControl(directory, pretendNode());
    const pointer = path.join(directory, "control.json");
    const { socket } = JSON.parse(readFileSync(pointer, "utf8")) as { socket: string };
    expect([statSync(pointer).mode & 0o777, statSync(path.dirname(socket)).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const view = await connectControl(directory);
    expect(await view?.status()).toMatchObject({ ready: true, reports: ["r"] });
    await view?.close();
    // A second life, after a kill, leaves nothing of the first behind.
    const again = await serveControl(directory, pretendNode());
    expect(existsSync(path.dirname(socket))).toBe(false);
    await front.stop();
    await again.stop();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a pointer to somebody else's folder removes nothing there", async () => {
    const directory = scratch();
    const other = scratch();
    writeFileSync(path.join(other, "precious"), "x");
    writeFileSync(path.join(directory, "control.json"), JSON.stringify({ socket: path.join(other, "precious") }));
    await served(directory);
    expect(readdirSync(other)).toEqual(["precious"]);
  });
});

describe("what crosses it", () => {
  test("rows keep what JSON cannot hold, the same for a running node and one in this process", async () => {
    const control = pretendNode();
    const remote = await served(scratch(), control);
    const local = viewOf(control, async () => {});
    for (const view of [remote, local]) {
      const { rows } = await view.sql("a/b", "SELECT ?", [1, "x", null], true);
      const blob = { $blob: "AP8=" };
      const wanted = [
        "a/b",
        "SELECT ?",
        [1, "x", null],
        true,
        null,
        1.5,
        "é",
        "1152921504606846976",
        blob,
        { $real: "Infinity" },
      ];
      expect(rows).toEqual([wanted]);
      const result = await view.call("a/b", "verb", [{ deep: [1] }]);
      const told = { verb: "verb", args: [{ deep: [1] }], at: "1970-01-01T00:00:00.000Z", set: { $set: [1] } };
      expect(result).toEqual({ $map: [["a/b", told]] });
    }
  });

  test("bytes in arguments arrive as bytes", async () => {
    let seen: unknown[] = [];
    const view = await served(scratch(), pretendNode({ call: async (_a, _v, args) => void (seen = args) }));
    expect(await view.call("a/b", "v", [new Uint8Array([1, 2]), { $blob: "AQI=" }, { $blob: 1 }])).toBeUndefined();
    expect(seen).toEqual([new Uint8Array([1, 2]), new Uint8Array([1, 2]), { $blob: 1 }]);
  });

  test("a deletion arrives with its address, and is answered", async () => {
    const deleted: string[] = [];
    const control = pretendNode({ delete: async (address) => void deleted.push(address) });
    for (const view of [await served(scratch(), control), viewOf(control, async () => {})]) {
      expect(await view.delete("a/b")).toBeUndefined();
    }
    expect(deleted).toEqual(["a/b", "a/b"]);
  });

  test("cells come in pages, in order, each once", async () => {
    const view = await served(scratch());
    const seen: string[] = [];
    for (let after: string | undefined; ; after = seen.at(-1)) {
      const page = await view.cells(after, 1_000_000);
      if (page.length === 0) break;
      expect(page.length).toBeLessThanOrEqual(1_000);
      seen.push(...page.map((cell) => cell.address));
    }
    expect(seen).toHaveLength(2_500);
    expect(seen).toEqual([...seen].sort());
    expect(new Set(seen).size).toBe(2_500);
  });

  test("errors keep code, message and traits; what was thrown without a code is THROWN", async () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const errors: unknown[] = [
      circle,
      new FrondError("DISK_FULL", "no room"),
      Object.assign(new TypeError("no such user"), { remote: true }),
      Object.assign(new Error("mine"), { code: "MY_CODE", retryable: true }),
      "a text",
    ];
    const view = await served(
      scratch(),
      pretendNode({
        call: async () => {
          throw errors.shift();
        },
      }),
    );
    const ask = () => view.call("a/b", "v", []);
    await expect(ask()).rejects.toMatchObject({ code: "THROWN", message: expect.stringContaining("cannot be told") });
    await expect(ask()).rejects.toMatchObject({
      code: "DISK_FULL",
      message: "no room",
      retryable: true,
      overloaded: true,
      remote: false,
    });
    await expect(ask()).rejects.toMatchObject({
      code: "THROWN",
      message: "TypeError: no such user",
      remote: true,
      retryable: false,
    });
    await expect(ask()).rejects.toMatchObject({ code: "MY_CODE", retryable: true, overloaded: false });
    await expect(ask()).rejects.toMatchObject({ code: "THROWN", message: "a text" });
  });

  test("a result that contains itself is refused, and the socket goes on", async () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const view = await served(scratch(), pretendNode({ call: async () => circle }));
    await expect(view.call("a/b", "v", [])).rejects.toMatchObject({ code: "NOT_CLONEABLE" });
    expect((await view.version()).run).toBe(7);
  });

  test("nonsense is refused with a reason", async () => {
    const directory = scratch();
    await served(directory);
    const ask = (method: string, target: string, body: string) =>
      new Promise<string>((resolve, reject) => {
        const outgoing = request({ socketPath: path.join(directory, SOCKET_NAME), method, path: target }, (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          answer.on("end", () => resolve(text));
        });
        outgoing.on("error", reject).end(body);
      });
    expect(await ask("POST", "/dance", "[]")).toContain('does not know \\"dance\\"');
    expect(await ask("POST", "/constructor", "[]")).toContain("BAD_OPTION");
    expect(await ask("POST", "/sql", "{}")).toContain("JSON list");
    expect(await ask("POST", "/sql", "[1]")).toContain("(address) is a text");
    expect(await ask("POST", "/call", '["a/b","v",7]')).toContain("(args) is a list");
    expect(await ask("POST", "/status", "[")).toMatch(/BAD_OPTION.*no JSON/);
    expect(await ask("POST", "/status", "[".repeat(100_000))).toContain("BAD_OPTION");
    expect(await ask("POST", "/status", `${"[".repeat(5000)}${"]".repeat(5000)}`)).toMatch(/BAD_OPTION.*nested deeper/);
    expect(await ask("POST", "/call", '["a/b","v",[{"$blob":"#"}]]')).toMatch(/BAD_OPTION.*base64/);
    expect(await ask("GET", "/status", "")).toContain("BAD_OPTION");
  });
});

describe("an import", () => {
  test("brings its bytes and its arguments, tells how far it is, and leaves no file at the node", async () => {
    const directory = scratch();
    const view = await served(directory);
    const file = path.join(scratch(), "cell.tar");
    writeFileSync(file, Buffer.alloc(500_000, "x"));
    const seen: [number, number][] = [];
    const imported = await view.importFrom("a/ü %2f?", file, true, (bytes, of) => seen.push([bytes, of]));
    expect(imported).toMatchObject({ txid: `a/ü %2f? true .tar ${"x".repeat(20)}`.length, bytes: 500_000 });
    expect(seen.at(-1)).toEqual([500_000, 500_000]);
    expect(readdirSync(path.join(directory, "tmp"))).toEqual([]);
    expect(statSync(file).size).toBe(500_000);
  });

  test("that is refused says why, and the socket goes on", async () => {
    const directory = scratch();
    const view = await served(directory);
    const file = path.join(scratch(), "cell.db");
    writeFileSync(file, "text");
    await expect(view.importFrom("a/refused", file, false)).rejects.toMatchObject({
      code: "CELL_EXISTS",
      message: "a/refused false .db text",
    });
    expect(await view.version()).toMatchObject({ run: 7 });
    expect(readdirSync(path.join(directory, "tmp"))).toEqual([]);
  });
});

describe("the past", () => {
  test("is asked for by time or position, over the socket and in this process", async () => {
    const control = pretendNode();
    const target = scratch();
    for (const view of [await served(scratch(), control), viewOf(control, async () => {})]) {
      expect(await view.history("a/b", { limit: 7, sinceMs: 5 })).toMatchObject([{ txid: 7, timeMs: 5, pages: 3 }]);
      expect(await view.restoreInto("a/b", { atMs: 9 })).toMatchObject({ timeMs: 9, now: { epoch: 5, txid: 6 } });
      expect(await view.previewRestore("a/b", { epoch: 3, txid: 4 })).toMatchObject({ tables: [] });
      expect([await view.erase("a/b"), await view.erasures()]).toEqual([{ address: "a/b", ...ERASED }, [ERASED]]);
      const file = path.join(target, "then.db");
      expect(await view.restoreTo("a/b", { epoch: 3, txid: 4 }, file)).toMatchObject({ txid: 2, bytes: 20 });
      expect(readFileSync(file, "utf8")).toBe('{"epoch":3,"txid":4}');
      rmSync(file);
    }
    const view = await served(scratch(), control);
    await expect(view.restoreInto("a/b", {} as never)).rejects.toMatchObject({ code: "BAD_OPTION" });
  });
});

describe("an export", () => {
  test("arrives whole, readable by its owner only, and leaves nothing in the data directory", async () => {
    const directory = scratch();
    const view = await served(directory);
    const file = path.join(scratch(), "cell.db");
    expect(await view.exportTo("a/b", file)).toEqual({ bytes: 300_000, files: 0 });
    expect(readFileSync(file).every((byte) => byte === 7)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(path.join(directory, "tmp"))).toEqual([]);
  });

  test("is asked for as an archive by the name of its file, and tells how many files are in it", async () => {
    const view = await served(scratch());
    expect(await view.exportTo("a/b", path.join(scratch(), "cell.tar"))).toEqual({ bytes: 300_000, files: 2 });
  });

  test("never overwrites", async () => {
    const view = await served(scratch());
    const file = path.join(scratch(), "cell.db");
    writeFileSync(file, "precious");
    await expect(view.exportTo("a/b", file)).rejects.toMatchObject({ code: "EEXIST" });
    expect(readFileSync(file, "utf8")).toBe("precious");
  });

  test("that fails leaves no file, in this process and over the socket", async () => {
    const broken = pretendNode({
      async exportTo(_address, file) {
        writeFileSync(file, "half");
        throw new FrondError("CELL_DAMAGED", "torn");
      },
    });
    const directory = scratch();
    const target = scratch();
    for (const view of [await served(directory, broken), viewOf(broken, async () => {})]) {
      await expect(view.exportTo("a/b", path.join(target, "x.db"))).rejects.toMatchObject({ code: "CELL_DAMAGED" });
    }
    expect(readdirSync(target)).toEqual([]);
    expect(readdirSync(path.join(directory, "tmp"))).toEqual([]);
  });

  test("that the node ends in the middle of fails and leaves no file", async () => {
    const directory = scratch();
    const started = gate();
    const front = await serveControl(
      directory,
      pretendNode({
        exportTo: async () => {
          started.open();
          return new Promise(() => {});
        },
      }),
    );
    const view = await connectControl(directory);
    const target = scratch();
    const exported = view!.exportTo("a/b", path.join(target, "x.db"));
    exported.catch(() => {});
    await started.opened;
    await front.stop();
    await expect(exported).rejects.toMatchObject({
      code: "NOT_RUNNING",
      message: expect.stringContaining("not known"),
    });
    expect(readdirSync(target)).toEqual([]);
  });
});
