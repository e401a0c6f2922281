// Buttons that do something with messages, in lists and beside a message alike.

import { type Html, markup } from "../markup.ts";
import { icon, type IconName } from "./icons.ts";

/** A button that shows a sign; `after`: where the reader goes when it is done. */
export function actButton(act: string, sign: IconName, title: string, after?: string): Html {
  return markup`<button class="tool" name="do" value="${act}" title="${title}" aria-label="${title}"${after !== undefined && markup` data-after="${after}"`}>${icon(sign)}</button>`;
}

/** Times for which a message is put aside: what the button says, and minutes. */
export const SNOOZES: readonly (readonly [string, number])[] = [
  ["1 hour", 60],
  ["4 hours", 4 * 60],
  ["1 day", 24 * 60],
  ["1 week", 7 * 24 * 60],
];

/** The menu that puts messages aside. */
export function snoozeMenu(after?: string): Html {
  const stays = after !== undefined && markup` data-after="${after}"`;
  const choices = SNOOZES.map(
    ([title, minutes]) => markup`<button class="choice" name="do" value="snooze:${minutes}"${stays}>${title}</button>`,
  );
  return markup`<details class="drop"><summary class="tool" title="Snooze" aria-label="Snooze">${icon("clock")}</summary><div class="panel" role="group" aria-label="Snooze for">
<p class="soft">Comes back in</p>${choices}
<div class="exact" hidden><label>or at <input type="datetime-local" name="local"></label><input type="hidden" name="until" disabled><button class="button" name="do" value="snooze:until"${stays}>Snooze</button></div></div></details>`;
}
