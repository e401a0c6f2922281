// Buttons that do something with messages, without leaving the page.

import { Problem, refresh, send } from "./net.js";
import { banner, note, noteForNext } from "./notes.js";

/** Sends every form of `data-act` itself. */
export function watchActs() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    // The next page takes its time; pressing twice would ask for it twice.
    if (form.matches("form[data-slow]")) {
      document.documentElement.dataset.busy = "on";
      setTimeout(() => (event.submitter.disabled = true));
    }
    if (!form.matches("form[data-act]") || !event.submitter) return;
    event.preventDefault();
    void act(form, event.submitter);
  });
}

async function act(form, button) {
  const verb = button.value.split(":")[0];
  if (verb === "empty" && !confirm("Delete everything in the trash for ever?")) return;
  if (verb === "erase" && !confirm("Delete for ever? This cannot be undone.")) return;
  if (button.value === "snooze:until") setUntil(form);
  const body = new URLSearchParams(new FormData(form, button));
  button.closest("details")?.removeAttribute("open");
  if (verb === "star" || verb === "unstar") turnStar(button, verb);
  try {
    const done = await send(form.action, body);
    banner();
    if (button.dataset.after) {
      noteForNext(done.text, done.undo);
      location.assign(button.dataset.after);
      return;
    }
    for (const box of form.querySelectorAll(".tick input:checked")) box.checked = false;
    if (!("quiet" in button.dataset)) note(done.text, done.undo && (() => undo(done.undo)));
    if (!document.querySelector(".reading")) await refresh({ quiet: false });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (verb === "star" || verb === "unstar") turnStar(button, verb === "star" ? "unstar" : "star");
    if (error.lasting) note(error.message);
    else banner(error.message, () => act(form, button));
  }
}

/** Takes back what was done: `undo` as the server stated it. */
export async function undo(steps) {
  const url = `${document.body.dataset.box}/act`;
  try {
    for (const step of steps) {
      await send(url, new URLSearchParams([["do", step.do], ...step.ids.map((id) => ["id", String(id)])]));
    }
    note("Undone.");
    await refresh({ quiet: false });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    banner(error.message, () => undo(steps));
  }
}

// Shown at once: whoever presses a star should not wait for it.
function turnStar(button, verb) {
  const id = button.value.split(":")[1];
  button.value = `${verb === "star" ? "unstar" : "star"}:${id}`;
  button.setAttribute("aria-pressed", String(verb === "star"));
}

function setUntil(form) {
  const local = form.querySelector("[name=local]").value;
  const until = form.querySelector("[name=until]");
  until.disabled = false;
  until.value = String(new Date(local).getTime() || 0);
}
