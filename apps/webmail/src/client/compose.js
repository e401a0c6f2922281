// Writing: the draft is kept as one types, files are taken in, and what could not be sent says why.
//
// Rule: only one request about a draft is under way at a time, so that none overtakes another. What is typed stays on the
// page whatever the server says, and is tried again until it is kept.

import { Problem, send } from "./net.js";
import { noteForNext } from "./notes.js";

const PAUSE_MS = 700;
const AGAIN_MS = 3000;

/** Makes the page where a letter is written keep it. */
export function prepareCompose() {
  const form = document.querySelector("#compose");
  if (form) new Writing(form).start();
}

class Writing {
  #form;
  #timer;
  #dirty = false;
  #last = Promise.resolve();
  #over = false;
  // What #problem says will pass: the server could not be reached.
  #unreached = false;

  constructor(form) {
    this.#form = form;
  }

  start() {
    const form = this.#form;
    form.querySelector("#adder").hidden = false;
    form.querySelector("#keep").hidden = true;
    form.addEventListener("input", (event) => {
      if (event.target.type !== "file") this.#changed();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#finish(event.submitter?.value ?? "send");
    });
    form.addEventListener("keydown", (event) => {
      // Enter in a line goes on to the next field; a letter is sent by its button or Ctrl+Enter.
      if (event.key !== "Enter") return;
      if (event.ctrlKey || event.metaKey) form.querySelector("[value=send]").click();
      else if (event.target.matches(".line input")) next(event.target)?.focus();
      else return;
      event.preventDefault();
    });
    this.#watchFiles();
    const body = form.querySelector("textarea");
    if (body.autofocus) body.setSelectionRange(0, 0);
    addEventListener("online", () => this.#keepSoon(0));
    addEventListener("pagehide", () => this.#leave());
    if ("keep" in form.dataset) this.#changed();
  }

  #changed() {
    this.#dirty = true;
    this.#keepSoon(PAUSE_MS);
  }

  #keepSoon(ms) {
    clearTimeout(this.#timer);
    if (this.#dirty && !this.#over) this.#timer = setTimeout(() => void this.#keep(), ms);
  }

  // One after the other; `work` sees what the one before it left.
  #inTurn(work) {
    this.#last = this.#last.then(work, work);
    return this.#last;
  }

  #keep() {
    return this.#inTurn(async () => {
      if (!this.#dirty || this.#over) return;
      this.#dirty = false;
      this.#say("Keeping …");
      try {
        this.#keptAs(await send(this.#form.action, this.#fields("keep")));
        this.#say("Kept in Drafts.");
        if (this.#unreached) this.#problem();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#dirty = true;
        if (error.lasting) this.#problem(error.message);
        else {
          this.#say("Not kept yet: the server cannot be reached. Your text stays here and is tried again.");
          this.#keepSoon(AGAIN_MS);
        }
      }
    });
  }

  #finish(what) {
    clearTimeout(this.#timer);
    this.#problem();
    return this.#inTurn(async () => {
      // Pressed twice: the first was enough.
      if (this.#over) return;
      this.#say(what === "send" ? "Sending …" : "");
      try {
        const done = await send(this.#form.action, this.#fields(what));
        this.#over = true;
        noteForNext(done.text);
        location.assign(done.next);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.data?.id) this.#keptAs(error.data);
        this.#say("");
        this.#problem(error.message, !error.lasting);
      }
    });
  }

  // The page goes away: what is not kept yet is sent on its way without waiting.
  #leave() {
    if (!this.#dirty || this.#over) return;
    this.#dirty = false;
    send(this.#form.action, this.#fields("keep"), {}, true).catch(() => {});
  }

  #fields(what) {
    const fields = new URLSearchParams(new FormData(this.#form));
    fields.set("do", what);
    return fields;
  }

  #keptAs(draft) {
    this.#form.elements.draft.value = String(draft.id);
    history.replaceState(null, "", `${this.#form.dataset.compose}/${draft.id}`);
    this.#listFiles(draft.files);
  }

  #watchFiles() {
    const form = this.#form;
    const field = form.querySelector("#file");
    field.addEventListener("change", () => {
      const files = [...field.files];
      field.value = "";
      void this.#attach(files);
    });
    form.addEventListener("click", (event) => {
      const button = event.target.closest("[data-detach]");
      if (button) void this.#detach(button.dataset.detach);
    });
    form.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      form.classList.add("dragging");
    });
    form.addEventListener("dragleave", () => form.classList.remove("dragging"));
    form.addEventListener("drop", (event) => {
      form.classList.remove("dragging");
      if (event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      void this.#attach([...event.dataTransfer.files]);
    });
  }

  async #attach(files) {
    this.#problem();
    for (const file of files) {
      const most = Number(this.#form.dataset.most);
      if (file.size > most) {
        this.#problem(
          `${file.name} is too large: the files of a message may have ${Math.floor(most / 1024 / 1024)} MB together.`,
        );
        continue;
      }
      this.#dirty ||= this.#form.elements.draft.value === "";
      await this.#keep();
      await this.#change(`Attaching ${file.name} …`, `file?name=${encodeURIComponent(file.name)}`, file, {
        "content-type": file.type || "application/octet-stream",
      });
    }
  }

  #detach(id) {
    return this.#change("", `file/${id}`, "", {});
  }

  #change(words, where, body, headers) {
    return this.#inTurn(async () => {
      this.#say(words);
      try {
        const draft = this.#form.elements.draft.value;
        this.#listFiles((await send(`${this.#form.dataset.compose}/${draft}/${where}`, body, headers)).files);
        this.#say("Kept in Drafts.");
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#say("");
        this.#problem(error.message, !error.lasting);
      }
    });
  }

  #listFiles(files) {
    const draft = `${this.#form.dataset.compose}/${this.#form.elements.draft.value}`;
    const clip = this.#form.querySelector("#adder .icon");
    const cross = document.querySelector("#help [aria-label=Close] .icon");
    const items = files.map(({ id, name, size }) => {
      const [item, link, words, number, button] = ["li", "a", "span", "span", "button"].map((tag) =>
        document.createElement(tag),
      );
      words.textContent = shortName(name);
      words.title = name;
      number.textContent = sizeWords(size);
      number.className = "number";
      Object.assign(link, { href: `${draft}/file/${id}`, download: "" });
      link.append(clip.cloneNode(true), words, " ", number);
      Object.assign(button, { type: "button", className: "tool" });
      button.setAttribute("aria-label", `Take off ${name}`);
      button.dataset.detach = String(id);
      button.append(cross.cloneNode(true));
      item.append(link, button);
      return item;
    });
    this.#form.querySelector("#files").replaceChildren(...items);
  }

  #say(words) {
    this.#form.querySelector("#kept").textContent = words;
  }

  #problem(words, unreached = false) {
    this.#unreached = unreached;
    const box = this.#form.querySelector("#problem");
    box.hidden = words === undefined;
    box.textContent = words ?? "";
  }
}

// As views/format.ts has them.
function shortName(name) {
  return name.length <= 80 ? name : `${name.slice(0, 50)} \u2026 ${name.slice(-24)}`.toWellFormed();
}

function sizeWords(size) {
  if (size === 0) return "empty";
  if (size < 1000) return size === 1 ? "1 byte" : `${size} bytes`;
  return size < 1_000_000 ? `${Math.round(size / 100) / 10} kB` : `${Math.round(size / 100_000) / 10} MB`;
}

function next(field) {
  const fields = [...field.form.querySelectorAll(".line input, textarea")];
  return fields[fields.indexOf(field) + 1];
}
