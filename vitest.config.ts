// How the tests run: on the TypeScript sources (condition `frond-source`, see docs/decisions/0003), each file in a
// process of its own, so that a test may kill what it started. No test asserts a duration; the time limits below only
// end what hangs.

import { defineConfig } from "vitest/config";

const source = ["frond-source"];

export default defineConfig({
  resolve: { conditions: source },
  ssr: { resolve: { conditions: source, externalConditions: source } },
  test: {
    // More than there are cores: tests of nodes mostly wait, for leases, kills and pages.
    maxWorkers: 3,
    include: [
      "packages/*/test/**/*.test.ts",
      "apps/*/test/**/*.test.ts",
      "examples/**/*.test.ts",
      "bench/**/*.test.ts",
      "scripts/test/**/*.test.ts",
    ],
    globalSetup: ["test-support/provision.ts", "packages/frond/test/bucket/radosgwShared.ts"],
    pool: "forks",
    // For the threads of nodes, which strip types anew each time otherwise; as bin/frond.js does it.
    env: { NODE_COMPILE_CACHE: `${import.meta.dirname}/packages/frond/.frond/compiled` },
    execArgv: ["--conditions=frond-source"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
