// The keyboard: what the help (press ?) promises.
//
// Rule: keys do nothing while somebody types into a field, and each presses a button or follows a link that is on the page,
// so that a key can never do more than the mouse.

import { sayChosen } from "./list.js";

const PAUSE_MS = 1200;
const GO = { i: "inbox", s: "starred", z: "snoozed", t: "sent", d: "drafts", a: "archive", "#": "trash" };
const LEFT = "left";
const ROWS = ".mail, .moment";
let going = 0;

/** Watches the keyboard. */
export function watchKeys() {
  document.querySelector(`.mail[data-id="${Number(sessionStorage.getItem(LEFT))}"] .row`)?.focus();
  sessionStorage.removeItem(LEFT);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") return escape(event);
    if (document.querySelector("dialog[open]")) return;
    const field = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (field) {
      if (event.key === "ArrowDown" && field.type === "search" && focusFirst()) event.preventDefault();
      return;
    }
    if (press(event.key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) openHelp();
    for (const menu of document.querySelectorAll("details.me[open], details.drop[open]")) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    }
  });
}

// True if the key meant something here.
function press(key) {
  if (Date.now() - going < PAUSE_MS && key in GO) {
    going = 0;
    return click(`[data-place="${GO[key]}"]`);
  }
  if (key === "g") {
    going = Date.now();
    return true;
  }
  if (key === "?") return openHelp();
  if (key === "c") return click(".write");
  if (key === "/") return focusSearch();
  return document.querySelector(".reading") ? inMessage(key) : inList(key);
}

function inMessage(key) {
  const keys = {
    j: "[data-step=older]",
    k: "[data-step=newer]",
    r: "[data-answer=reply]",
    a: "[data-answer=all]",
    f: "[data-answer=forward]",
    e: ".toolbar [value=archive]",
    "#": ".toolbar [value=trash]",
    s: ".toolbar .star",
    u: "[data-back]",
  };
  if (key === "z") return openMenu(".toolbar .drop");
  // Back in the list the keys go on where they were.
  if (key === "u") sessionStorage.setItem(LEFT, document.querySelector(".reading").dataset.id);
  return key in keys && click(keys[key]);
}

function inList(key) {
  const row = document.activeElement?.closest(ROWS);
  if (key === "j" || key === "ArrowDown") return step(row, 1);
  if (key === "k" || key === "ArrowUp") return step(row, -1);
  if (key === "s" && row) return clickIn(row, ".star");
  if (key === "x" && row) return tick(row);
  if (key === "z" && chosen(row)) return openMenu(".bulk .drop");
  const acts = { e: "archive", "#": "trash" };
  if (key in acts && chosen(row)) return click(`.bulk [value=${acts[key]}]`);
  if (key === "u" && chosen(row)) {
    const unread = document.querySelector(".mail:has(.tick input:checked)").matches(".unread");
    return click(`.bulk [value=${unread ? "read" : "unread"}]`);
  }
  return false;
}

// Without ticks the focused message is meant, and gets one.
function chosen(row) {
  if (document.querySelector(".tick input:checked")) return true;
  const box = row?.querySelector(".tick input");
  if (!box) return false;
  box.checked = true;
  return true;
}

function step(row, by) {
  const rows = [...document.querySelectorAll(ROWS)];
  const next = row ? rows[rows.indexOf(row) + by] : rows[by > 0 ? 0 : rows.length - 1];
  if (!next) return rows.length > 0;
  next.querySelector(".row, .state").focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function focusFirst() {
  const first = document.querySelector(".mail .row, .box button");
  first?.focus();
  return first !== null;
}

function tick(row) {
  const box = row.querySelector(".tick input");
  if (!box) return false;
  box.checked = !box.checked;
  sayChosen();
  return true;
}

function focusSearch() {
  const field = document.querySelector("form.search input");
  field?.focus();
  field?.select();
  return field !== null;
}

function openHelp() {
  const help = document.querySelector("#help");
  help?.showModal();
  return help !== null;
}

function openMenu(where) {
  const menu = document.querySelector(where);
  if (!menu) return false;
  menu.setAttribute("open", "");
  menu.querySelector(".choice").focus();
  return true;
}

function escape(event) {
  const menu = document.querySelector("details.me[open], details.drop[open]");
  if (menu) {
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  } else if (event.target.matches("form.search input")) {
    event.preventDefault();
    event.target.blur();
    focusFirst();
  } else if (location.hash === "#places") location.hash = "#main";
}

function click(selector) {
  return clickIn(document, selector);
}

function clickIn(root, selector) {
  const target = root.querySelector(selector);
  target?.click();
  return target !== null;
}
