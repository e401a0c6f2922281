// Checks the package as its users get it: built, packed, looked at by two linters, installed and started.
//
// Rule: what is checked is the packed file, never the folder. The install needs no package server: the packed file is
// unpacked into a scratch folder outside the checkout and its declared dependencies, and only those, are linked in from
// the checkout; a dependency that is used but not declared therefore fails here.

import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { ROOT, run, type Result } from "./run.ts";

/** Largest packed file, in bytes: it is fetched on every install, and a sudden jump means that something got in. */
const MAX_PACKED_BYTES = 1400 * 1024;

/** Longest life of the app that is started from the packed file, in ms: only what hangs lives so long. */
const MAX_SERVE_MS = 60_000;

const PACKAGE = `${ROOT}/packages/frond`;
const REQUIRED = [
  "package.json",
  "README.md",
  "LICENSE",
  "bin/frond.js",
  "dist/index.js",
  "dist/index.d.ts",
  "dist/client/connect.js",
  "dist/client/connect.d.ts",
];

/** What `npm pack --json` says about the packed file. */
interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

async function must(what: string, running: Promise<Result>): Promise<Result> {
  const result = await running;
  if (!result.ok) {
    console.log(result.output.trimEnd());
    throw new Error(`${what} failed`);
  }
  return result;
}

async function pack(folder: string): Promise<string> {
  await must("the build", run("npm", ["run", "build"], { cwd: PACKAGE }));
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const { stdout } = await must("npm pack", run("npm", args, { cwd: PACKAGE }));
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, Packed>);
  if (packed === undefined) throw new Error("npm pack named no file");
  const paths = packed.files.map(({ path }) => path);
  for (const path of REQUIRED) if (!paths.includes(path)) throw new Error(`the packed file lacks ${path}`);
  const wanted = /^(?:bin|dist|src)\/(?!torture\/)|^(?:package\.json|README\.md|LICENSE)$/;
  const stray = paths.find((path) => !wanted.test(path));
  if (stray !== undefined) throw new Error(`the packed file holds ${stray}, which nobody needs`);
  if (packed.size > MAX_PACKED_BYTES) {
    throw new Error(`the packed file has ${packed.size} bytes, more than MAX_PACKED_BYTES (${MAX_PACKED_BYTES})`);
  }
  console.log(`packed: ${packed.files.length} files, ${Math.round(packed.size / 1024)} KiB`);
  return `${folder}/${packed.filename}`;
}

async function install(tarball: string, folder: string): Promise<void> {
  const modules = `${folder}/node_modules`;
  mkdirSync(`${modules}/frond`, { recursive: true });
  mkdirSync(`${modules}/.bin`);
  await must("tar", run("tar", ["-xzf", tarball, "--strip-components=1", "-C", `${modules}/frond`]));
  const manifest = JSON.parse(readFileSync(`${modules}/frond/package.json`, "utf8")) as {
    version: string;
    bin: Record<string, string>;
    dependencies?: Record<string, string>;
  };
  for (const name of [...Object.keys(manifest.dependencies ?? {}), "@types/node"]) {
    const places = [`${PACKAGE}/node_modules/${name}`, `${ROOT}/node_modules/${name}`];
    const place = places.find((candidate) => existsSync(candidate));
    if (place === undefined) throw new Error(`${name} is not installed; run npm ci`);
    mkdirSync(`${modules}/${name}`.replace(/\/[^/]+$/, ""), { recursive: true });
    symlinkSync(realpathSync(place), `${modules}/${name}`);
  }
  for (const [name, path] of Object.entries(manifest.bin)) symlinkSync(`../frond/${path}`, `${modules}/.bin/${name}`);
  writeFileSync(`${folder}/package.json`, JSON.stringify({ name: "scratch", private: true, type: "module" }));
  checkClient(folder);
  await use(folder, manifest.version);
  await serve(folder);
}

/** What a client says of an app: here that it can call nothing, since the example exposes nothing. */
const CLIENT = `import { connect } from "frond/client";
import type app from "./app.ts";
const client = connect<typeof app>("https://app.example");
const kinds: Parameters<typeof client.get>[0][] = [];
export const nothing: never[] = kinds;
`;

async function use(folder: string, version: string): Promise<void> {
  const example = firstExample(readFileSync(`${ROOT}/README.md`, "utf8"));
  writeFileSync(`${folder}/app.ts`, example);
  const options = {
    module: "nodenext",
    target: "es2024",
    lib: ["es2024"],
    types: ["node"],
    strict: true,
    noEmit: true,
  };
  writeFileSync(`${folder}/client.ts`, CLIENT);
  const files = ["app.ts", "client.ts"];
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: options, files }));
  await must("the types of the packed file", run("tsc", ["-p", folder]));
  const load = `const { Cell, frond } = await import("frond"); const app = await import("./app.ts");
    const { connect } = await import("frond/client");
    if ([Cell, frond, connect].some((one) => typeof one !== "function") || !app.default) process.exit(1);`;
  await must(`import "frond"`, run("node", ["--input-type=module", "--eval", load], { cwd: folder }));
  const { stdout } = await must("npx frond version", run("npx", ["--no", "frond", "version"], { cwd: folder }));
  if (!stdout.includes(version)) throw new Error(`npx frond version said ${JSON.stringify(stdout)}, not ${version}`);
}

/** The client runs where nothing else of the package is: in a page that loads it file by file. */
function checkClient(folder: string): void {
  const client = `${folder}/node_modules/frond/dist/client`;
  for (const file of readdirSync(client).filter((name) => name.endsWith(".js"))) {
    const code = readFileSync(`${client}/${file}`, "utf8");
    for (const [, from = ""] of code.matchAll(/\bfrom "([^"]+)"/g)) {
      if (!/^\.\/\w+\.js$/.test(from)) throw new Error(`dist/client/${file} imports ${from}`);
    }
  }
}

/** Starts the app from the packed file, speaks to it as its clients and its operator do, and stops it. */
async function serve(folder: string): Promise<void> {
  const frond = `${folder}/node_modules/.bin/frond`;
  const args = ["start", "app.ts", "--data", "data", "--listen", "127.0.0.1:0"];
  const server = spawn(frond, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise<number | null>((resolve) => server.on("close", resolve));
  const ready = new Promise<string>((resolve, reject) => {
    const hear = (text: string): void => {
      said += text;
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
      if (url !== undefined) resolve(url);
    };
    server.stdout.setEncoding("utf8").on("data", hear);
    server.stderr.setEncoding("utf8").on("data", hear);
    server.on("error", reject);
    void ended.then(() => reject(new Error("it ended")));
  });
  const timer = setTimeout(() => server.kill("SIGKILL"), MAX_SERVE_MS);
  try {
    const url = await ready;
    await fetch(`${url}/alice`, { method: "POST", body: "hello" });
    const mail = await (await fetch(`${url}/alice`)).text();
    if (!mail.includes("hello")) throw new Error(`it answered ${mail}`);
    const cells = await must("frond cells", run(frond, ["cells", "--data", "data"], { cwd: folder }));
    if (!cells.stdout.includes("mailbox/alice")) throw new Error(`frond cells said ${cells.stdout}`);
    server.kill("SIGTERM");
    const code = await ended;
    if (code !== 0) throw new Error(`after SIGTERM it ended with ${code}`);
  } catch (error) {
    console.log(said.trimEnd());
    throw new Error("the app of the README does not run from the packed file", { cause: error });
  } finally {
    clearTimeout(timer);
    server.kill("SIGKILL");
  }
}

/** The first ts block of the README: what every reader tries first must work from the packed file. */
function firstExample(readme: string): string {
  const block = /^```ts\n([^]*?)^```$/m.exec(readme)?.[1];
  if (block === undefined) throw new Error("README.md holds no ```ts block");
  return block;
}

const folder = mkdtempSync(`${tmpdir()}/frond-package-`);
try {
  const tarball = await pack(folder);
  await must("publint", run("publint", ["run", tarball, "--strict"]));
  await must("attw", run("attw", [tarball, "--profile", "esm-only", "--no-definitely-typed"]));
  const scratch = `${folder}/scratch`;
  mkdirSync(scratch);
  await install(tarball, scratch);
} catch (error) {
  console.log(error instanceof Error && error.cause === undefined ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
