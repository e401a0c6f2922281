// The app under torture: books and actors behind one door.
//
// Rule: a request is JSON that says whom it is for; the answer is `{ value }`, or `{ code, message, report? }` with status 409.
// The lines of a streamed script are passed on as they come.

import { frond } from "../cell/app.ts";
import type { Get } from "../cell/stub.ts";
import { ACTORS, actorOf, scriptRequest } from "./actor.ts";
import { BOOK_CLASSES, type BookCall, callBook } from "./books.ts";
import type { Play } from "./script.ts";

/** A script for an actor, or a look at all that it has. */
export type ActorCall =
  | { readonly script: Play; readonly streams?: boolean }
  | { readonly show: { readonly kind: string; readonly name: string } };

async function answer(call: BookCall | ActorCall, get: Get): Promise<Response> {
  if ("script" in call && call.streams === true) {
    return actorOf(get, call.script.kind, call.script.name).fetch(scriptRequest(call.script, []));
  }
  try {
    return Response.json({ value: (await valueOf(call, get)) ?? null });
  } catch (error) {
    const { name, message, code, report } = error as Error & { code?: unknown; report?: unknown };
    return Response.json({ code: code ?? name, message, report }, { status: 409 });
  }
}

function valueOf(call: BookCall | ActorCall, get: Get): Promise<unknown> {
  if ("show" in call) return actorOf(get, call.show.kind, call.show.name).show();
  if (!("script" in call)) return callBook(call, get);
  const { kind, name, sync, ops } = call.script;
  const actor = actorOf(get, kind, name);
  return sync ? actor.act(ops, []) : actor.play(ops, []);
}

/** See the head of the file. */
export const tortured = frond({
  cells: { ...BOOK_CLASSES, ...ACTORS },
  fetch: async (request, { get }) => answer((await request.json()) as BookCall | ActorCall, get),
});
