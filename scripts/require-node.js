// Ends with a clear message where Node is too old to run the project. Plain JavaScript, so that an old Node can read it.
//
// Rule: every script of the root package that runs TypeScript runs this first. In a checkout on Linux (x64, arm64) npm
// puts the pinned Node 24 first on the PATH of scripts; this message appears where that did not happen.

const NEEDED = 24;
const major = Number(process.versions.node.split(".")[0]);

if (!(major >= NEEDED)) {
  console.error(
    `This project runs on Node ${NEEDED} or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      "On Linux (x64, arm64) `npm ci` brings the right one, unless optional dependencies are omitted\n" +
      "(look for `omit=optional` in npm's configuration). Elsewhere install Node 24 and run the command again.",
  );
  process.exit(1);
}
