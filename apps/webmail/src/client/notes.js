// What the page says: a note that goes away, with a way back; and a bar that stays until the trouble is over.

const NOTE_MS = 7000;
const KEPT = "note";
let timer;

/** Shows a note. `undo`: what the button in it does. */
export function note(text, undo) {
  const box = document.createElement("div");
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Undo";
    button.addEventListener("click", () => {
      clear();
      void undo();
    });
    box.append(button);
  }
  document.querySelector("#toast").replaceChildren(box);
  clearTimeout(timer);
  timer = setTimeout(clear, NOTE_MS);
}

/** Leaves a note for the page that is opened next. `undo` is data here: what to send. */
export function noteForNext(text, undo) {
  sessionStorage.setItem(KEPT, JSON.stringify({ text, undo }));
}

/** The note that the last page left, or undefined. */
export function keptNote() {
  const text = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return text === null ? undefined : JSON.parse(text);
}

/** Shows a bar with a button that tries again; without arguments the bar goes away. */
export function banner(text, again) {
  const bar = document.querySelector("#banner");
  bar.hidden = text === undefined;
  if (text === undefined) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Try again";
  button.addEventListener("click", () => void again());
  bar.replaceChildren(text, button);
}

function clear() {
  clearTimeout(timer);
  document.querySelector("#toast").replaceChildren();
}
