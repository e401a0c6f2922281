// The mail app's cells behind another door: what a test wants to know of every mailbox, in one request.
//
// It runs on a data directory that the mail app filled. A cell is its kind and its database; the class that serves it may
// be another one, here with one verb more.

import { frond } from "frond";
import { Directory } from "../../src/directory.ts";
import { MAX_LINES } from "../../src/lists.ts";
import { Mailbox } from "../../src/mailbox.ts";

/** What a mailbox holds: identities in hex, all of them and those that a search for each word finds. */
export interface Census {
  readonly messages: string[];
  readonly found: Record<string, string[]>;
}

class CountedMailbox extends Mailbox {
  census(queries: readonly string[]): Census {
    const rows = this.sql.all<{ id: number; identity: Uint8Array }>`SELECT id, identity FROM message ORDER BY id`;
    const identities = new Map(rows.map(({ id, identity }) => [id, Buffer.from(identity).toString("hex")]));
    const found: Record<string, string[]> = {};
    for (const query of queries) {
      const ids: number[] = [];
      for (let before = Number.MAX_SAFE_INTEGER, page = MAX_LINES; page === MAX_LINES; before = ids.at(-1) as number) {
        const lines = this.search(query, before, MAX_LINES);
        ids.push(...lines.map(({ id }) => id));
        page = lines.length;
      }
      if (ids.length > 0) found[query] = ids.map((id) => identities.get(id) as string);
    }
    return { messages: [...identities.values()], found };
  }
}

export default frond({
  cells: { mailbox: CountedMailbox, directory: Directory },
  async fetch(request, { get }) {
    if (new URL(request.url).pathname === "/directory") {
      return Response.json(
        await get(Directory, "main").find("", new URL(request.url).searchParams.get("after") ?? "", 200),
      );
    }
    const { names, queries } = (await request.json()) as { names: string[]; queries: string[] };
    const answers: Record<string, Census> = {};
    for (const name of names) answers[name] = await get(CountedMailbox, name).census(queries);
    return Response.json(answers);
  },
});
