// Talking to the server: doing something, and showing a page anew without leaving it.
//
// Rule: what fails says what to do, and nothing that was typed or ticked is lost by it. A page is shown anew by fetching
// its HTML and exchanging the parts that have an id; there is no second form of the page.

import { banner } from "./notes.js";
import { localTimes } from "./times.js";

const BUSY_MS = 300;

/** Something went wrong; the message is for the reader. `lasting`: trying again will not help. */
export class Problem extends Error {
  constructor(message, lasting, data) {
    super(message);
    this.lasting = lasting;
    this.data = data;
  }
}

/** Sends a change. Resolves to the answer; throws Problem. */
export async function send(url, body, headers = {}, keepalive = false) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      body,
      headers: { accept: "application/json", ...headers },
      keepalive,
    });
  } catch {
    const why = navigator.onLine ? "The server cannot be reached." : "You are offline.";
    throw new Problem(`${why} Nothing was changed; try again.`, false);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Problem(
    answer.error ?? `The server failed (${response.status}). Nothing was changed; try again in a moment.`,
    response.status < 500,
    answer,
  );
}

let running;
let wanted = 0;
let waiting;

// A line across the top while somebody waits; not for what comes at once.
function busy(is) {
  clearTimeout(waiting);
  if (is) waiting = setTimeout(() => (document.documentElement.dataset.busy = "on"), BUSY_MS);
  else delete document.documentElement.dataset.busy;
}

/**
 * Shows what is at `url` in place of what is shown. Only the newest call counts. `quiet`: nobody asked for it, so a
 * failure is not told. `again`: what is shown already, which does not count as reading it. Resolves to true if it was shown.
 */
export async function show(url, { quiet = false, again = false } = {}) {
  running?.abort();
  running = new AbortController();
  const mine = ++wanted;
  if (!quiet) busy(true);
  try {
    return await showOnly(url, mine, quiet, again);
  } finally {
    if (mine === wanted) busy(false);
  }
}

async function showOnly(url, mine, quiet, again) {
  let response;
  let text;
  try {
    response = await fetch(url, {
      signal: running.signal,
      headers: { accept: "text/html", ...(again && { "x-refresh": "1" }) },
    });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError" || mine !== wanted) return false;
    if (!quiet) {
      const why = navigator.onLine ? "The server cannot be reached." : "You are offline.";
      banner(`${why} What you see may be old.`, () => show(url));
    }
    return false;
  }
  if (mine !== wanted) return false;
  if (!response.ok) {
    if (response.status === 401 || response.status === 403) location.reload();
    else if (!quiet) banner(`The server failed (${response.status}). What you see may be old.`, () => show(url));
    return false;
  }
  banner();
  exchange(new DOMParser().parseFromString(text, "text/html"));
  return true;
}

/** Shows the present page anew, if it is one that changes by itself. */
export function refresh({ quiet = true } = {}) {
  if (document.querySelector("#compose, [data-still]")) return Promise.resolve(false);
  return show(location.href, { quiet, again: true });
}

function exchange(page) {
  const [list, freshList] = [document.querySelector("#list"), page.querySelector("#list")];
  document.title = page.title;
  const places = page.querySelector("#places");
  if (places) document.querySelector("#places").replaceChildren(...places.childNodes);
  if (list && freshList) exchangeList(list, freshList);
  else if (!document.querySelector(".reading") || !page.querySelector(".reading")) {
    document.querySelector("#main").replaceChildren(...page.querySelector("#main").childNodes);
  }
  localTimes(document);
  document.dispatchEvent(new Event("shown"));
}

// Ticks and the focus stay with their messages; of one that left, the focus goes to the next that is still there.
function exchangeList(list, fresh) {
  const ticked = new Set([...list.querySelectorAll(".tick input:checked")].map((box) => box.value));
  for (const box of fresh.querySelectorAll(".tick input")) if (ticked.has(box.value)) box.checked = true;
  const rows = [...list.querySelectorAll(".mail")];
  const focused = document.activeElement?.closest?.(".mail");
  const kind = document.activeElement?.matches(".star")
    ? ".star"
    : document.activeElement?.matches(".tick input")
      ? ".tick input"
      : ".row";
  const index = rows.indexOf(focused);
  list.replaceWith(fresh);
  if (!focused || index === -1) return;
  const there = new Map([...fresh.querySelectorAll(".mail")].map((row) => [row.dataset.id, row]));
  const heirs = [...rows.slice(index), ...rows.slice(0, index).reverse()].map((row) => there.get(row.dataset.id));
  const next = heirs.find((row) => row !== undefined);
  next?.querySelector(next.dataset.id === focused.dataset.id ? kind : ".row")?.focus({ preventScroll: true });
}
