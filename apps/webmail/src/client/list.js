// Lists: ticking, and search as one types.

import { show } from "./net.js";

const PAUSE_MS = 160;
let lastTicked;

/** Makes the parts of a list that need a script work; called again whenever a list was shown anew. */
export function prepareList() {
  const all = document.querySelector(".head .all");
  if (all) {
    all.hidden = document.querySelector(".tick") === null;
    all.addEventListener("change", () => {
      for (const box of document.querySelectorAll(".tick input")) box.checked = all.checked;
      sayChosen();
    });
  }
  for (const exact of document.querySelectorAll(".exact")) prepareExact(exact);
  sayChosen();
}

/** Watches ticks and the search field. */
export function watchList() {
  document.addEventListener("click", (event) => {
    if (!event.target.matches?.(".tick input")) return;
    if (event.shiftKey && lastTicked?.isConnected) tickBetween(lastTicked, event.target);
    lastTicked = event.target;
    sayChosen();
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.(".tick input")) sayChosen();
  });
  const form = document.querySelector("form.search[data-live]");
  if (form) watchSearch(form);
}

function watchSearch(form) {
  const field = form.querySelector("input");
  let timer;
  let begun = new URL(location.href).searchParams.has("q");
  const look = () => {
    clearTimeout(timer);
    if (document.querySelector("#compose")) return Promise.resolve(false);
    const typed = field.value.trim();
    const url = new URL(form.action);
    if (typed !== "") url.searchParams.set("q", field.value);
    // One step of the history for the whole search: "back" leaves it.
    if (url.href !== location.href) history[begun ? "replaceState" : "pushState"](null, "", url);
    begun = typed !== "";
    return show(url);
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  form.addEventListener("submit", (event) => {
    if (document.querySelector("#compose")) return;
    event.preventDefault();
    void look().then(() => document.querySelector(".row, .box button")?.focus());
  });
  addEventListener("popstate", () => {
    const typed = new URL(location.href).searchParams.get("q") ?? "";
    begun = typed !== "";
    field.value = typed;
    void show(location.href);
  });
}

function tickBetween(one, other) {
  const boxes = [...document.querySelectorAll(".tick input")];
  const [from, to] = [boxes.indexOf(one), boxes.indexOf(other)].sort((a, b) => a - b);
  if (from === -1) return;
  for (const box of boxes.slice(from, to + 1)) box.checked = other.checked;
}

/** Says how many are ticked. */
export function sayChosen() {
  const boxes = document.querySelectorAll(".tick input");
  const chosen = [...boxes].filter((box) => box.checked).length;
  const words = document.querySelector(".chosen");
  if (words) words.textContent = chosen === 0 ? "" : `${chosen} selected`;
  const all = document.querySelector(".head .all");
  if (!all) return;
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
}

// Tomorrow morning, in the form that the field takes.
function prepareExact(exact) {
  const field = exact.querySelector("[name=local]");
  const morning = new Date();
  morning.setDate(morning.getDate() + 1);
  morning.setHours(8, 0, 0, 0);
  if (field.value === "") {
    field.value = new Date(morning.getTime() - morning.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  }
  exact.hidden = false;
}
