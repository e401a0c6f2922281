// A mailbox for everybody who is named in a URL: the example of the README, as a file to run.
//
// Rule: it is the README's text, line for line (a test compares them), so what is shown there is what runs here.

import { Cell, frond } from "frond";

export class Mailbox extends Cell {
  static override migrations = [
    `CREATE TABLE message (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, body TEXT NOT NULL) STRICT`,
  ];
  deliver(sender: string, body: string): number {
    return this.sql.one<{ id: number }>`
      INSERT INTO message (sender, body) VALUES (${sender}, ${body}) RETURNING id`.id;
  }
  newest(limit = 20) {
    return this.sql.all`SELECT * FROM message ORDER BY id DESC LIMIT ${limit}`;
  }
}

export default frond({
  cells: { mailbox: Mailbox },
  async fetch(request, { get }) {
    const mailbox = get(Mailbox, new URL(request.url).pathname.slice(1) || "nobody");
    if (request.method === "POST") await mailbox.deliver("web", await request.text());
    return Response.json(await mailbox.newest());
  },
});
