// What the command changes in the way that Node loads modules.

import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * Makes `import "frond"` in an app mean the sources that this command itself runs from, when it runs from sources: two
 * copies of a class would not know each other's instances.
 */
export function resolveToSources(): void {
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: [...context.conditions, "frond-source"] }),
  });
}

/** Calls `tell` with the path of every file outside node_modules that is loaded from now on. */
export function reportLoads(tell: (file: string) => void): void {
  registerHooks({
    load(url, context, next) {
      if (url.startsWith("file:") && !url.includes("/node_modules/")) tell(fileURLToPath(url));
      return next(url, context);
    },
  });
}
