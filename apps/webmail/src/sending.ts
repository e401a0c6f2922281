// From a draft to a sent letter.
//
// Rule: nothing is sent unless everybody named can be reached: a letter goes to mailboxes of this server and nowhere else,
// and one unknown name keeps the whole letter a draft, with the reason. Posting is one transaction of the writer's cell
// (the draft becomes a message in Sent, the recipients are noted); bringing it to the others comes after and can be
// repeated (Mailbox.carry).

import { addressesOf, usableAddress } from "./addresses.ts";
import { failure, json, seeOther } from "./answers.ts";
import { composePage } from "./boxPages.ts";
import { DIRECTORY_NAME, Directory } from "./directory.ts";
import { type Draft, type DraftText, MAX_DRAFT_ADDRESSES, MAX_DRAFT_BODY, MAX_DRAFT_LINE } from "./drafts.ts";
import { writeLetter } from "./letter.ts";
import { boxLink } from "./links.ts";
import { parseMail, storedMail } from "./message.ts";
import { MAX_RECIPIENTS } from "./settings.ts";
import { cleanTyped, numberIn, type Visit, wantsJson } from "./visit.ts";

const GONE = "This draft is gone: it was sent or discarded elsewhere.";

/** Keeps, sends or discards the draft of a form. */
export async function handleDraft(visit: Visit, form: URLSearchParams): Promise<Response> {
  const { mailbox, name, request } = visit;
  const id = numberIn(form.get("draft") ?? "");
  const drafts = boxLink(name, "drafts");
  if (form.get("do") === "discard") {
    if (id !== undefined) await mailbox.discardDraft(id);
    return wantsJson(request) ? json({ text: "Discarded.", next: boxLink(name) }) : seeOther(boxLink(name));
  }
  const kept = await keep(visit, form, id);
  if (kept === undefined) return failure(request, 404, "No such draft", GONE);
  if (form.get("do") !== "send") return wantsJson(request) ? json(kept) : seeOther(drafts);
  const refusal = await send(visit, kept);
  if (refusal === undefined) {
    return wantsJson(request) ? json({ text: "Sent.", next: boxLink(name) }) : seeOther(boxLink(name, "sent"));
  }
  if (wantsJson(request)) return json({ error: refusal, ...kept }, 422);
  return composePage(visit, { ...kept, forward: undefined, problem: refusal }, 422);
}

// The draft as it is kept now; undefined if it is gone.
async function keep(visit: Visit, form: URLSearchParams, id: number | undefined): Promise<Draft | undefined> {
  const { mailbox } = visit;
  const line = (key: string, most = MAX_DRAFT_LINE): string => cleanTyped(form.get(key) ?? "", most);
  const text: DraftText = {
    recipients: line("recipients", MAX_DRAFT_ADDRESSES),
    copies: line("copies", MAX_DRAFT_ADDRESSES),
    subject: line("subject"),
    body: cleanTyped(form.get("body") ?? "", MAX_DRAFT_BODY).replace(/\r\n?/g, "\n"),
  };
  if (id !== undefined) return (await mailbox.saveDraft(id, text)) ? mailbox.draft(id) : undefined;
  const source = numberIn(form.get("forward") ?? "");
  const original = source === undefined ? undefined : await mailbox.whole(source);
  const files = original === undefined ? [] : (await parseMail(original)).files;
  const begun = await mailbox.beginDraft(text, line("answers"), line("thread"), files);
  return mailbox.draft(begun);
}

// Undefined when it is on its way, else why not.
async function send(visit: Visit, draft: Draft): Promise<string | undefined> {
  const { mailbox, get, name } = visit;
  const domain = name.slice(name.lastIndexOf("@") + 1);
  const to = namesIn(draft.recipients, domain);
  const cc = namesIn(draft.copies, domain);
  const all = [...new Set([...to, ...cc])];
  if (all.length === 0) return "Who should get it? Put an address into To.";
  if (all.length > MAX_RECIPIENTS) return `A letter goes to at most ${MAX_RECIPIENTS} mailboxes at once.`;
  const known = new Set(await get(Directory, DIRECTORY_NAME).known(all));
  const unknown = all.filter((each) => !known.has(each));
  if (unknown.length > 0) {
    const those = unknown.slice(0, 5).join(", ");
    const nobody =
      unknown.length === 1 ? `There is no mailbox ${those} here.` : `These mailboxes are not here: ${those}.`;
    return `${nobody} Letters go to mailboxes of this server only; nothing was sent.`;
  }
  const files = await mailbox.draftFiles(draft.id);
  const raw = writeLetter({ ...draft, from: name, to, cc, files }, Date.now());
  if (!(await mailbox.post(draft.id, draft.changed, await storedMail(raw), all))) return GONE;
  await mailbox.carry();
  return undefined;
}

// A name alone is one of the writer's own domain.
function namesIn(field: string, domain: string): string[] {
  return addressesOf(field).map((address) => {
    const whole = address.includes("@") ? address : `${address}@${domain}`;
    return usableAddress(whole) ?? address.toLowerCase();
  });
}
