import { defineConfig } from "vitest/config";

const source = ["frond-source"];

export default defineConfig({
  resolve: { conditions: source },
  ssr: { resolve: { conditions: source, externalConditions: source } },
  test: {
    include: [
      "packages/*/test/**/*.test.ts",
      "apps/*/test/**/*.test.ts",
      "examples/**/*.test.ts",
      "bench/**/*.test.ts",
    ],
    pool: "forks",
    execArgv: ["--conditions=frond-source"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
