// Going back: the moments to which a mailbox can go back, what that would change, doing it, and undoing it; and the whole
// mailbox as a file.
//
// Rule: only the owner gets here (pages.ts), and nothing is restored that was not looked at: the form names the state of the
// mailbox that its reader saw, and if mail has come in since, the reader is shown again what would be lost.
// A restore is one more state of the mailbox, so what was before stays among the moments.

import { FrondError, isFrondError, type PastCommit } from "frond";
import { failure, fileStream, html, seeOther } from "./answers.ts";
import { boxFrame } from "./boxFrame.ts";
import { compare, type Differences, inventory, type Item, totals, type Totals } from "./inventory.ts";
import { boxLink, withQuery } from "./links.ts";
import { Mailbox } from "./mailbox.ts";
import type { Html } from "./markup.ts";
import { chooseMoments, type PastMoment } from "./moments.ts";
import { momentsView, noHistoryView, previewView } from "./views/restore.ts";
import { boxPage } from "./views/shell.ts";
import { formOf, textParameter, type Visit } from "./visit.ts";

/** Commits that are looked through for moments. */
const MOST_COMMITS = 10_000;
/** Databases that are fetched to count what is in them: so many bytes for one page, the newest first. */
const COUNTED_BYTES = 64 * 1024 * 1024;

const NOT_KEPT = "This moment cannot be gone back to (any more). Choose another one.";

/** Answers a GET. */
export async function readPast(visit: Visit): Promise<Response> {
  const at = textParameter(visit.url, "at");
  try {
    return await (at === "" ? moments(visit) : preview(visit, at));
  } catch (error) {
    if (isFrondError(error, "NO_BUCKET")) return page(visit, "Restore", noHistoryView(visit.name));
    throw error;
  }
}

/** Answers a POST: goes back to where the form says. */
export async function goBack(visit: Visit): Promise<Response> {
  const { request, mailbox, name, context } = visit;
  const form = await formOf(request);
  const [at, seen] = [form?.get("at") ?? "", form?.get("seen") ?? ""];
  if (!isPosition(at) || !isPosition(seen))
    return failure(request, 400, "Not understood", "This is not what the form sends.");
  try {
    const last = await mailbox.lastNumber();
    const { position, before = "" } = await context.restore(Mailbox, name, { at, ifAt: seen });
    await mailbox.goOnFrom(last);
    return seeOther(withQuery(boxLink(name, "restore"), { done: position, undo: before }));
  } catch (error) {
    if (isFrondError(error, "CELL_CHANGED")) return preview(visit, at, "Something changed in your mailbox meanwhile.");
    return refused(visit, error);
  }
}

/** Answers a POST: the database and the files of the mailbox as one file. */
export async function download({ context, name }: Visit): Promise<Response> {
  const { size, stream } = await context.export(Mailbox, name);
  return fileStream(stream, size, `${name}.tar`);
}

async function moments(visit: Visit, problem?: string): Promise<Response> {
  const { context, name, mailbox, url } = visit;
  const commits = await context.history(Mailbox, name, { limit: MOST_COMMITS });
  const chosen = chooseMoments(commits, Date.now());
  const [now, then] = await Promise.all([mailbox.totals(), Promise.all(counting(visit, chosen))]);
  const [done, undo] = [textParameter(url, "done"), textParameter(url, "undo")];
  const body = momentsView({
    name,
    now,
    moments: chosen.map((moment, i) => ({ ...moment, totals: then[i] })),
    seen: commits[0]?.position ?? "",
    problem,
    done: isPosition(undo) ? commits.find(({ position }) => position === done) : undefined,
    undo,
  });
  return page(visit, "Restore", body, problem === undefined ? 200 : 422);
}

/** What was in the mailbox at each of the moments, as far as it may be looked. */
function counting({ context, name }: Visit, chosen: readonly PastMoment[]): Promise<Totals | undefined>[] {
  let bytes = 0;
  return chosen.map(async ({ position, size }) => {
    bytes += size;
    if (bytes > COUNTED_BYTES) return undefined;
    const { one } = context.past(Mailbox, name, { at: position });
    return totals((strings) => one<Totals>(strings)).catch(unlessUnreadable);
  });
}

async function preview(visit: Visit, at: string, note?: string): Promise<Response> {
  const { context, name, mailbox } = visit;
  if (!isPosition(at)) return moments(visit, NOT_KEPT);
  try {
    // First: what comes in behind it is seen by the form as a change.
    const [newest] = await context.history(Mailbox, name, { limit: 1 });
    const { all } = context.past(Mailbox, name, { at });
    const [moment, then, now] = await Promise.all([
      findCommit(visit, at),
      inventory((strings) => all<Item>(strings)).catch(unlessUnreadable),
      mailbox.inventory(),
    ]);
    if (moment === undefined) return await moments(visit, NOT_KEPT);
    const differences: Differences | undefined = then && compare(then, now);
    const body = previewView({ name, moment, seen: newest?.position ?? "", differences, note });
    return await page(visit, "Restore", body, note === undefined ? 200 : 409);
  } catch (error) {
    return refused(visit, error);
  }
}

async function findCommit({ context, name }: Visit, at: string): Promise<PastCommit | undefined> {
  return (await context.history(Mailbox, name, { limit: MOST_COMMITS })).find(({ position }) => position === at);
}

function isPosition(text: string): boolean {
  return /^\d{1,15}-\d{1,15}$/.test(text);
}

/** A mailbox of before it had folders, say, cannot be compared; it can be restored. */
function unlessUnreadable(error: unknown): undefined {
  if (!isFrondError(error, "SQL_ERROR")) throw error;
}

async function refused(visit: Visit, error: unknown): Promise<Response> {
  const gone = error instanceof FrondError && (error.code === "CELL_MISSING" || error.code === "HISTORY_GONE");
  if (gone) return moments(visit, NOT_KEPT);
  throw error;
}

async function page(visit: Visit, title: string, body: Html, status = 200): Promise<Response> {
  return html(boxPage(await boxFrame(visit, title), body), status);
}
