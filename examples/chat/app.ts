// Chat rooms over WebSockets: a room is a cell, which keeps what was said and tells everybody who is there.
//
//   npx frond dev examples/chat/app.ts      then open http://127.0.0.1:8080/ in two windows
//
// The room may be closed between two messages: its sockets, and who is at the other end, stay.

import { Cell, type CellSocket, frond } from "frond";

interface Line {
  sender: string;
  text: string;
}

export class Room extends Cell {
  static override migrations = [
    `CREATE TABLE line (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, text TEXT NOT NULL) STRICT`,
  ];
  override fetch(request: Request): Response {
    const who = new URL(request.url).searchParams.get("name") ?? "somebody";
    const answer = this.accept(request, { attachment: who.slice(0, 40) });
    for (const line of this.newest()) answer.webSocket?.send(JSON.stringify(line));
    return answer;
  }
  override webSocketMessage(socket: CellSocket, text: string | ArrayBuffer): void {
    if (typeof text !== "string" || text.trim() === "") return;
    this.say(socket.deserializeAttachment() as string, text.slice(0, 2_000));
  }
  say(sender: string, text: string): void {
    this.sql`INSERT INTO line (sender, text) VALUES (${sender}, ${text})`;
    for (const socket of this.ctx.getWebSockets()) socket.send(JSON.stringify({ sender, text }));
  }
  newest(limit = 50): Line[] {
    return this.sql.all<Line>`SELECT sender, text FROM line ORDER BY id DESC LIMIT ${limit}`.toReversed();
  }
}

export default frond({
  cells: { room: Room },
  fetch(request, { get }) {
    const [, place, room = "lobby"] = new URL(request.url).pathname.split("/").map(decodeURIComponent);
    if (place === "room") return get(Room, room || "lobby").fetch(request);
    return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
});

const PAGE = `<!doctype html><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
li{list-style:none}ul{padding:0}b{margin-right:.5rem}form{display:flex;gap:.5rem}input{flex:1;font:inherit;padding:.4rem}
</style><h1>The lobby</h1><ul id="lines"></ul><form><input autofocus placeholder="Say something"><button>Say</button></form>
<script>
const name = sessionStorage.name ??= prompt("Your name?") || "somebody";
const lines = document.querySelector("#lines"), input = document.querySelector("input");
let socket;
(function open() {
  socket = new WebSocket(location.origin.replace("http", "ws") + "/room/lobby?name=" + encodeURIComponent(name));
  socket.onopen = () => lines.replaceChildren();
  socket.onmessage = ({ data }) => {
    const { sender, text } = JSON.parse(data), line = document.createElement("li"), by = document.createElement("b");
    by.textContent = sender;
    line.append(by, text);
    lines.append(line);
  };
  socket.onclose = () => setTimeout(open, 500 + 500 * Math.random());
})();
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  socket.send(input.value);
  input.value = "";
};
</script>`;
