// `frond dev` as a process: it restarts for what the app is made of, keeps port and data, survives mistakes, ends cleanly.

import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Folder, Running, frond } from "./command.ts";

const app = (answer: string, imports = ""): string => `
import { Cell, frond } from "frond";
${imports}
class Counter extends Cell {
  static override migrations = ["CREATE TABLE c (n INTEGER NOT NULL) STRICT"];
  add() {
    this.sql.all\`INSERT INTO c VALUES (1)\`;
    return this.sql.one<{ n: number }>\`SELECT count(*) AS n FROM c\`.n;
  }
}
export default frond({
  cells: { counter: Counter },
  fetch: async (request, { get }) => new Response(\`${answer} \${await get(Counter, "a").add()}\`),
});
`;

function dev(content: string, args: string[] = ["--listen", "0"]): { folder: Folder; node: Running } {
  const folder = new Folder(content);
  const node = new Running(folder, ["dev", "app.ts", ...args]);
  onTestFinished(async () => {
    await node.stop("SIGTERM");
    folder.remove();
  });
  return { folder, node };
}

const ask = async (url: string): Promise<string> => (await fetch(url)).text();

test("a change restarts it on the same port, with its data, and says what changed", async () => {
  const { folder, node } = dev(app("one"));
  const url = await node.ready();
  expect(await ask(url)).toBe("one 1");
  folder.write("app.ts", app("two"));
  expect(await node.ready(2)).toBe(url);
  expect(await ask(url)).toBe("two 2");
  expect(node.out).toMatch(/info {2}restarting changed=app\.ts\n/);
  expect((await frond(folder, ["cells"])).out).toContain("counter/a");
  expect(await node.stop("SIGINT")).toBe(0);
  expect(node.out.trim().endsWith("stopped")).toBe(true);
});

test("a bucket is the one that is named, through every restart, and not that of the environment", async () => {
  const folder = new Folder(app("one"));
  const [bucket, served] = [folder.at("bucket"), folder.at("served")];
  const node = new Running(folder, ["dev", "app.ts", "--listen", "0", "--bucket", `dir:${bucket}`], {
    FROND_BUCKET: `dir:${served}`,
  });
  onTestFinished(async () => {
    await node.stop("SIGTERM");
    folder.remove();
  });
  expect(await ask(await node.ready())).toBe("one 1");
  folder.write("app.ts", app("two"));
  expect(await ask(await node.ready(2))).toBe("two 2");
  expect([existsSync(path.join(bucket, "cluster")), existsSync(served)]).toEqual([true, false]);
  const other = new Folder(app("one"));
  const plain = new Running(other, ["dev", "app.ts", "--listen", "0"], { FROND_BUCKET: `dir:${served}` });
  onTestFinished(async () => {
    await plain.stop("SIGTERM");
    other.remove();
  });
  await plain.ready();
  expect([existsSync(other.at(".frond/dev/bucket/cluster")), existsSync(served)]).toEqual([true, false]);
});

test("a mistake is shown and waits for the next change", async () => {
  const { folder, node } = dev(app("one"));
  const url = await node.ready();
  folder.write("app.ts", "export default {;");
  await node.until(/waiting for a change/);
  expect(node.err).toMatch(/error APP_FAILED: app\.ts could not be loaded:\n.*app\.ts:1\n/);
  await expect(fetch(url)).rejects.toThrow("fetch failed");
  folder.write("app.ts", app("two"));
  expect(await node.ready(2)).toBe(url);
  expect(await ask(url)).toBe("two 1");
});

test("an app that dies while it serves is started again by itself, and by a change", async () => {
  const { folder, node } = dev(
    app("one").replace("new Response", "setTimeout(() => { throw new Error('died'); }) && new Response"),
  );
  await fetch(await node.ready()).catch(() => {});
  await node.until(/the app ended \(code 70\); it starts again in 1 s, or when a file changes/);
  await fetch(await node.ready(2)).catch(() => {});
  await node.until(/the app ended \(code 70\); it starts again in 2 s/);
  folder.write("app.ts", app("two"));
  expect(await ask(await node.ready(3))).toMatch(/^two /);
});

test("a failed request tells its reason, and a changed migration how to begin anew", async () => {
  const { folder, node } = dev(app("one"));
  await ask(await node.ready());
  folder.write("app.ts", app("two").replace("n INTEGER NOT NULL", "n INTEGER"));
  const answer = await fetch(await node.ready(2));
  expect([answer.status, await answer.json()]).toMatchObject([
    500,
    { error: { code: "MIGRATION_DRIFT", message: expect.stringContaining("migration 1 of Counter") } },
  ]);
  expect(node.out).toMatch(/a request failed: .* or remove \.frond\/dev to begin anew/);
  expect(node.out).toContain("FrondError [MIGRATION_DRIFT]: migration 1");
});

test("new files, files in new folders and imports from elsewhere count; output, data and foreign code do not", async () => {
  const elsewhere = new Folder();
  onTestFinished(() => elsewhere.remove());
  elsewhere.write("word.ts", "export const word = 'far';");
  const outside = path.join("..", path.basename(elsewhere.path), "word.ts");
  const { folder, node } = dev(app("${word}", `import { word } from "${outside}";`));
  const url = await node.ready();
  folder.write("notes.txt", "x");
  folder.write("other.db", "x");
  folder.write(".hidden/x.ts", "x");
  folder.write("node_modules/y/index.js", "x");
  elsewhere.write("unused.ts", "x");
  expect(await ask(url)).toBe("far 1");
  folder.write("deep/down/near.ts", "export const word = 'near';");
  await node.ready(2);
  elsewhere.write("word.ts", "export const word = 'farther';");
  await node.ready(3);
  expect(await ask(url)).toBe("farther 2");
  folder.write("deep/down/near.ts", "export const word = 'nearer';");
  await node.ready(4);
  rmSync(folder.at("deep"), { recursive: true });
  await node.ready(5);
  const changes = [...node.out.matchAll(/restarting changed=(.*)/g)].map((match) => match[1]);
  expect(changes).toEqual(["deep/down/near.ts", outside, "deep/down/near.ts", "deep/down/near.ts"]);
});

test("what no change of the app can cure ends it", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { node } = dev(app("one"), ["--listen", String(port)]);
  expect(await node.exit()).toBe(1);
  expect(node.err).toMatch(/^error LISTEN_FAILED: /);
  const missing = new Folder();
  rmSync(missing.at("app.ts"));
  expect(await frond(missing, ["dev", "app.ts"])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^error NOT_AN_APP: there is no file/),
  });
  missing.remove();
});

test("when the command is killed its node stops and frees the data", async () => {
  const { folder, node } = dev(app("one"));
  const url = await node.ready();
  await ask(url);
  expect(await node.stop("SIGKILL")).toBeNull();
  expect((await frond(folder, ["status", "--data", ".frond/dev", "--json"])).out).toContain('"cells":1');
  await expect(fetch(url)).rejects.toThrow("fetch failed");
});

test("it answers by the names that lead to this machine alone and by those it is given; start answers by any", async () => {
  const { folder, node } = dev(app("one"), ["--listen", "0", "--allow-host", "app.test", "--allow-host", "Other.Test"]);
  const { port } = new URL(await node.ready());
  const status = (host: string, at = port): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port: at, headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on("error", reject).end();
    });
  for (const host of ["localhost", `127.0.0.1:${port}`, "a.localhost", "app.test:80", "other.test"]) {
    expect(await status(host), host).toBe(200);
  }
  for (const host of ["evil.example", `evil.example:${port}`]) expect(await status(host), host).toBe(403);
  expect(node.out).toContain("requests were refused: HOST_NOT_ALLOWED");
  expect(await node.stop()).toBe(0);

  const served = new Running(folder, ["start", "app.ts", "--listen", "0"]);
  expect(await status("evil.example", new URL(await served.ready()).port)).toBe(200);
  expect(await served.stop()).toBe(0);
  for (const name of ["", "http://app.test", "app.test:80", "a b", "app.test/x"]) {
    const wrong = await frond(folder, ["dev", "app.ts", "--allow-host", name]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("is not the name of a host")]);
  }
});
