// A to-do list for everybody who is named in a URL: what docs/tutorial.md builds, step by step.
//   npx frond dev examples/todo/app.ts      then open http://127.0.0.1:8080/ada

import { Cell, frond } from "frond";

interface Item {
  id: number;
  text: string;
  done: number;
}

export class TodoList extends Cell {
  static override migrations = [
    `CREATE TABLE item (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT`,
    `ALTER TABLE item ADD COLUMN done INTEGER NOT NULL DEFAULT 0`,
  ];
  items(): Item[] {
    return this.sql.all<Item>`SELECT id, text, done FROM item ORDER BY done, id`;
  }
  add(text: string): number {
    const { id } = this.sql.one<{ id: number }>`INSERT INTO item (text) VALUES (${text}) RETURNING id`;
    this.#tell();
    return id;
  }
  finish(id: number): void {
    this.sql`UPDATE item SET done = 1 WHERE id = ${id}`;
    this.schedule({ afterMs: 24 * 60 * 60 * 1000 }, "_remove", id);
    this.#tell();
  }
  _remove(id: number): void {
    this.sql`DELETE FROM item WHERE id = ${id}`;
    this.#tell();
  }
  override fetch(request: Request): Response {
    return this.accept(request);
  }
  #tell(): void {
    for (const socket of this.ctx.getWebSockets()) socket.send(JSON.stringify(this.items()));
  }
}

export default frond({
  cells: { todo: TodoList },
  async fetch(request, { get }) {
    const [, name = "", action] = new URL(request.url).pathname.split("/");
    if (name === "") return Response.redirect(new URL("/somebody", request.url).href);
    const list = get(TodoList, decodeURIComponent(name));
    if (action === "live") return list.fetch(request);
    if (action === "add" && request.method === "POST") await list.add(await request.text());
    if (action === "finish" && request.method === "POST") await list.finish(Number(await request.text()));
    if (action !== undefined) return Response.json(await list.items());
    return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
});

const PAGE = `<!doctype html><meta name="viewport" content="width=device-width"><title>To do</title>
<style>body{font:18px/1.8 system-ui;max-width:30rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
ul{padding:0}li{list-style:none}input{font:inherit;width:100%}</style>
<h1>To do</h1><form><input autofocus placeholder="What next?" aria-label="What next?"></form><ul></ul><script>
const at = location.pathname, input = document.querySelector("input"), list = document.querySelector("ul");
const show = (items) => list.replaceChildren(...items.map(({ id, text, done }) => {
  const row = document.createElement("li"), box = document.createElement("button");
  box.onclick = () => fetch(at + "/finish", { method: "POST", body: id });
  Object.assign(box, { textContent: done ? "✓" : "○", disabled: done, title: "Finish" });
  row.append(box, " " + text);
  return row;
}));
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  if (input.value.trim()) fetch(at + "/add", { method: "POST", body: input.value });
  input.value = "";
};
(function live() {
  const socket = new WebSocket(location.href.replace("http", "ws") + "/live");
  socket.onopen = () => fetch(at + "/items").then((answer) => answer.json()).then(show);
  socket.onmessage = ({ data }) => show(JSON.parse(data));
  socket.onclose = () => setTimeout(live, 1000);
})();
</script>`;
