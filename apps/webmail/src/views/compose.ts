// Where a letter is written.
//
// Rule: everything that is typed is in the form, so that it can be kept, sent and thrown away without the page's script,
// too; only files need it. `forward` names the message whose files go along when the draft begins to be kept.

import type { Draft } from "../drafts.ts";
import { MAX_DRAFT_ADDRESSES, MAX_DRAFT_BODY, MAX_DRAFT_LINE, MAX_FILE_BYTES } from "../drafts.ts";
import { boxLink } from "../links.ts";
import { attribute, type Html, markup } from "../markup.ts";
import { bytes, shortName } from "./format.ts";
import { icon } from "./icons.ts";

/** What is being written. */
export interface ComposeState extends Omit<Draft, "id" | "changed"> {
  readonly name: string;
  /** Undefined as long as nothing of it is kept. */
  readonly id: number | undefined;
  /** The message whose files go along. */
  readonly forward: number | undefined;
  /** Why it was not sent. */
  readonly problem: string | undefined;
}

/** The page where a letter is written. */
export function composeView(state: ComposeState): Html {
  const { name, id, problem } = state;
  const line = (key: string, label: string, value: string, more: Html): Html =>
    markup`<label class="line"><span>${label}</span><input name="${key}" value="${value}" autocomplete="off"${more}></label>`;
  const addresses = markup` maxlength="${MAX_DRAFT_ADDRESSES}" autocapitalize="none" spellcheck="false" inputmode="email"`;
  const fresh = state.recipients === "";
  return markup`<form class="compose" id="compose" method="post" action="${boxLink(name, "draft")}" data-compose="${boxLink(name, "draft")}" data-most="${MAX_FILE_BYTES}"${attribute(state.forward !== undefined, "data-keep")}>
<input type="hidden" name="draft" value="${id ?? ""}"><input type="hidden" name="answers" value="${state.answers}"><input type="hidden" name="thread" value="${state.thread}"><input type="hidden" name="forward" value="${state.forward ?? ""}">
<div class="head"><h1>${id === undefined ? "New message" : "Draft"}</h1><p class="under" id="kept" role="status"></p></div>
<p class="problem" id="problem" role="alert"${attribute(problem === undefined, "hidden")}>${problem}</p>
<div class="sheet">
${line("recipients", "To", state.recipients, markup`${addresses}${attribute(fresh, "autofocus")}`)}
${line("copies", "Cc", state.copies, addresses)}
${line("subject", "Subject", state.subject, markup` maxlength="${MAX_DRAFT_LINE}" dir="auto"`)}
<textarea name="body" aria-label="Text" dir="auto" maxlength="${MAX_DRAFT_BODY}"${attribute(!fresh, "autofocus")}>
${state.body}</textarea>
<ul class="files" id="files" aria-label="Files">${state.files.map((file) => fileItem(name, id ?? 0, file))}</ul>
</div>
<div class="ends"><button class="button" name="do" value="send">${icon("sent")}Send</button>
<label class="button quiet" id="adder" hidden>${icon("clip")}Attach<input type="file" id="file" multiple class="out"></label>
<button class="button quiet" name="do" value="keep" id="keep">Keep as draft</button>
<button class="tool" name="do" value="discard" title="Discard" aria-label="Discard">${icon("trash")}</button></div>
</form>`;
}

/** A file of a draft, with the button that takes it off. */
export function fileItem(name: string, draft: number, file: Draft["files"][number]): Html {
  return markup`<li data-file="${file.id}"><a href="${boxLink(name, "draft", draft, "file", file.id)}" download>${icon("clip")}<span title="${file.name}">${shortName(file.name)}</span> <span class="number">${bytes(file.size)}</span></a><button type="button" class="tool" data-detach="${file.id}" aria-label="Take off ${file.name}">${icon("close")}</button></li>`;
}
