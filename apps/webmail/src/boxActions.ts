// Changing things in a mailbox: moving, marking, snoozing; keeping, sending and discarding drafts; their files; going back.
//
// Rule: each change answers the script of a page with what was done and how to undo it, and a form without the script with
// the page that comes next. `do` says what: `archive`, `star:12`, `snooze:60`.

import { failure, json, seeOther } from "./answers.ts";
import { MAX_FILE_BYTES, tooMuch } from "./drafts.ts";
import type { Folder } from "./folders.ts";
import { boxLink } from "./links.ts";
import { MAX_LINES } from "./lists.ts";
import { MAX_ERASED, type Moved } from "./mailbox.ts";
import { safeType } from "./letter.ts";
import { cleanText } from "./message.ts";
import { download, goBack } from "./restoring.ts";
import { handleDraft } from "./sending.ts";
import { plural } from "./views/format.ts";
import { formOf, numberIn, textParameter, type Visit, wantsJson } from "./visit.ts";

/** The furthest that a message can be put aside, in ms: five years. */
const LONGEST_SNOOZE_MS = 5 * 365 * 24 * 3600_000;
/** Calls that empty a trash, at most: whoever has more presses again. */
const MAX_ERASE_CALLS = 100;
const MAX_FILE_NAME = 200;

/** What was done: in words, and what would undo it. */
interface Done {
  readonly text: string;
  readonly undo?: readonly { readonly do: string; readonly ids: readonly number[] }[];
}

/** Answers a POST within a mailbox; undefined: there is nothing at this address. */
export async function actInBox(visit: Visit): Promise<Response | undefined> {
  const [first, id, what, file, ...more] = visit.path;
  if (more.length > 0) return undefined;
  if (first === "draft" && id !== undefined) return draftFile(visit, numberIn(id), what, file);
  if (id !== undefined) return undefined;
  if (first === "restore") return goBack(visit);
  if (first === "download") return download(visit);
  if (first !== "act" && first !== "draft") return undefined;
  const form = await formOf(visit.request);
  if (form === undefined) return failure(visit.request, 400, "Not understood", "This is not what the form sends.");
  return first === "act" ? act(visit, form) : handleDraft(visit, form);
}

async function act(visit: Visit, form: URLSearchParams): Promise<Response> {
  const { request, name } = visit;
  const [verb = "", argument] = (form.get("do") ?? "").split(":", 2);
  const row = verb === "star" || verb === "unstar" ? numberIn(argument) : undefined;
  const ids =
    row === undefined
      ? form
          .getAll("id")
          .flatMap((id) => numberIn(id) ?? [])
          .slice(0, MAX_LINES)
      : [row];
  if (ids.length === 0 && verb !== "empty") {
    return failure(request, 422, "Nothing is selected", "Tick the messages that are meant, then press the button.");
  }
  const done = await perform(visit, form, verb, argument, ids);
  if (typeof done === "string") return failure(request, 422, "Not done", done);
  if (wantsJson(request)) return json(done);
  const back = form.get("back") ?? "";
  const home = boxLink(name);
  return seeOther(back === home || back.startsWith(`${home}/`) || back.startsWith(`${home}?`) ? back : home);
}

// What was done, or why not.
async function perform(
  { mailbox }: Visit,
  form: URLSearchParams,
  verb: string,
  argument: string | undefined,
  ids: readonly number[],
): Promise<Done | string> {
  switch (verb) {
    case "inbox":
    case "archive":
    case "sent":
    case "trash":
      return moved(await mailbox.move(ids, verb), MOVED_TO[verb]);
    case "read":
    case "unread":
      await mailbox.setUnread(ids, verb === "unread");
      return { text: `Marked as ${verb}.`, undo: [{ do: verb === "read" ? "unread" : "read", ids }] };
    case "star":
    case "unstar":
      await mailbox.setStarred(ids, verb === "star");
      return { text: verb === "star" ? "Starred." : "Star taken." };
    case "snooze": {
      const due = snoozeTime(form, argument);
      if (due === undefined) return "Choose a time that is to come, within five years.";
      return moved(await mailbox.snooze(ids, due), "snoozed");
    }
    case "erase":
      return { text: `${plural(await mailbox.erase(ids), "message")} deleted for ever.` };
    case "empty":
      return { text: `${plural(await emptyTrash(mailbox), "message")} deleted for ever.` };
    default:
      return "The server does not know this button. Reload the page.";
  }
}

const MOVED_TO: Readonly<Record<Exclude<Folder, "snoozed">, string>> = {
  inbox: "moved to the inbox",
  archive: "archived",
  sent: "moved to Sent",
  trash: "moved to the trash",
};

function moved(messages: readonly Moved[], where: string): Done {
  if (messages.length === 0) return { text: "Nothing was moved: it is there already, or was erased." };
  const undo = Map.groupBy(messages, ({ folder }) => (folder === "snoozed" ? "inbox" : folder));
  return {
    text: `${plural(messages.length, "message")} ${where}.`,
    undo: [...undo].map(([folder, those]) => ({ do: folder, ids: those.map(({ id }) => id) })),
  };
}

function snoozeTime(form: URLSearchParams, argument: string | undefined): number | undefined {
  const now = Date.now();
  const minutes = numberIn(argument);
  const due = argument === "until" ? numberIn(form.get("until") ?? "") : minutes && now + minutes * 60_000;
  return due !== undefined && due > now && due < now + LONGEST_SNOOZE_MS ? due : undefined;
}

async function emptyTrash(mailbox: Visit["mailbox"]): Promise<number> {
  let all = 0;
  for (let call = 0; call < MAX_ERASE_CALLS; call++) {
    const erased = await mailbox.erase();
    all += erased;
    if (erased < MAX_ERASED) break;
  }
  return all;
}

async function draftFile(
  visit: Visit,
  draft: number | undefined,
  what: string | undefined,
  file: string | undefined,
): Promise<Response | undefined> {
  const { mailbox, request, url } = visit;
  if (draft === undefined || what !== "file") return undefined;
  if (file !== undefined) {
    const id = numberIn(file);
    if (id === undefined) return undefined;
    await mailbox.detach(draft, id);
    return json({ files: (await mailbox.draft(draft))?.files ?? [] });
  }
  const stated = Number(request.headers.get("content-length") ?? 0);
  if (stated > MAX_FILE_BYTES) return failure(request, 413, "Too large", tooMuch([stated]) ?? "The file is too large.");
  const bytes = new Uint8Array(await request.arrayBuffer());
  const name =
    cleanText(textParameter(url, "name").slice(0, MAX_FILE_NAME))
      .replace(/[\n\t/\\]/g, "_")
      .trim() || "file";
  const type = safeType(request.headers.get("content-type") ?? "");
  const added = await mailbox.attach(draft, { name, type, bytes });
  if (typeof added === "string") return failure(request, 413, "Not attached", added);
  return json({ files: (await mailbox.draft(draft))?.files ?? [] });
}
