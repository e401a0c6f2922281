#!/usr/bin/env node
// The command `frond`. Plain JavaScript without static imports, so that an old Node still reaches the message below
// instead of a syntax error, and so that npm can link the file before anything was built.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  const own =
    process.platform === "linux" ? `, or let this project have its own: npm install node-linux-${process.arch}@24` : "";
  console.error(
    `error NODE_TOO_OLD: frond needs Node 24 or newer (it uses node:sqlite), and this is Node ${process.versions.node}; install Node 24${own}`,
  );
  process.exit(1);
}
const { existsSync } = await import("node:fs");
const here = import.meta.dirname;
// In the workspace the TypeScript sources run as they are; a published package holds compiled files.
const inWorkspace = !here.includes("node_modules") && existsSync(`${here}/../src/cli/main.ts`);
if (inWorkspace) {
  // Stripping types from some 200 files takes longer than all else of a start, and each thread does it anew: what comes of it is kept.
  const { enableCompileCache } = await import("node:module");
  process.env.NODE_COMPILE_CACHE ??= `${here}/../.frond/compiled`;
  enableCompileCache(process.env.NODE_COMPILE_CACHE);
}
const { main } = await import(inWorkspace ? "../src/cli/main.ts" : "../dist/cli/main.js");
await main(process.argv.slice(2), { source: inWorkspace });
