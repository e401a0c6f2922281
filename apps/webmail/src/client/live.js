// What changes elsewhere shows here: in another tab, by mail that comes in, by a message that was snoozed.
//
// Rule: the line only says that something changed; the page then asks for what it shows, as it would by itself. When the
// line breaks it is tried again, ever more slowly, and when it stands again the page asks at once: nothing is missed.

import { refresh } from "./net.js";
import { banner, note } from "./notes.js";

const GATHER_MS = 50;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
// A server that is started anew is back before that.
const QUIET_FAILURES = 2;
const PING_MS = 25_000;
const PONG_MS = 10_000;

/** Opens the line, on pages of a mailbox. */
export function watchChanges() {
  const { box } = document.body.dataset;
  if (box) new Line(new URL(`${box}/live`, location.href)).open();
}

class Line {
  #url;
  #socket;
  #failures = 0;
  #was = false;
  #told = false;
  #again;
  #gathering;
  #pinging;

  constructor(url) {
    url.protocol = url.protocol.replace("http", "ws");
    this.#url = url;
    const now = () => {
      if (this.#socket === undefined && !document.hidden) this.open();
    };
    addEventListener("online", now);
    document.addEventListener("visibilitychange", now);
  }

  open() {
    clearTimeout(this.#again);
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#failures = 0;
      document.documentElement.dataset.live = "on";
      if (this.#told) banner();
      this.#told = false;
      if (this.#was) void refresh();
      this.#was = true;
      this.#pinging = setInterval(() => this.#ping(socket), PING_MS);
    });
    socket.addEventListener("message", ({ data }) => {
      clearTimeout(socket.silent);
      if (data !== "pong") this.#hear(JSON.parse(data));
    });
    socket.addEventListener("close", () => this.#closed(socket));
  }

  #hear({ what, sender, subject }) {
    if (what === "mail") {
      const name = sender.replace(/\s*<[^<>]*>$/, "").replace(/^"(.*)"$/, "$1");
      note(`New mail from ${name || "somebody"}: ${subject || "no subject"}`);
    }
    clearTimeout(this.#gathering);
    this.#gathering = setTimeout(() => void refresh(), GATHER_MS);
  }

  #ping(socket) {
    socket.send("ping");
    clearTimeout(socket.silent);
    socket.silent = setTimeout(() => socket.close(), PONG_MS);
  }

  // What is written tells of it by itself (compose.js), and a bar that is there already says more.
  #tellLost() {
    if (!document.querySelector("#banner").hidden) return;
    this.#told = true;
    banner("The server cannot be reached. What you see may be old.", () => {
      if (this.#socket === undefined) this.open();
    });
  }

  #closed(socket) {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    clearInterval(this.#pinging);
    clearTimeout(socket.silent);
    delete document.documentElement.dataset.live;
    if (this.#failures === QUIET_FAILURES && !document.querySelector("#compose")) this.#tellLost();
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    // Spread: all pages of a server that was started anew would come at once.
    this.#again = setTimeout(() => this.open(), pause * (0.5 + Math.random()));
  }
}
