// A listing of any length, page by page.

import type { Bucket, Listed } from "./bucket.ts";

/** Every object below a prefix, in order. */
export async function* listAll(bucket: Bucket, prefix: string): AsyncGenerator<Listed> {
  for (let after: string | undefined; ;) {
    const page = await bucket.list(prefix, after);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.key;
  }
}
