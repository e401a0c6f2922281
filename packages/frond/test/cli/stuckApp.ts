// An app whose cells can be made to hold the event loop in each of the ways that there are.

export const STUCK_APP = `
import { Cell, frond } from "frond";

const shared = Promise.withResolvers<void>();
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class Counter extends Cell {
  static override migrations = ["CREATE TABLE entry (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT"];
  fresh = true;
  add(n: number) {
    this.sql.all\`INSERT INTO entry (n) VALUES (\${n})\`;
    return { sum: this.sum(), fresh: this.fresh };
  }
  sum() {
    return this.sql.one<{ sum: number }>\`SELECT coalesce(sum(n), 0) AS sum FROM entry\`.sum;
  }
  loop() {
    this.fresh = false;
    this.add(1000);
    for (;;);
  }
  async later() {
    this.fresh = false;
    this.add(1);
    await rest(5);
    this.add(1000);
    for (;;);
  }
  statements() {
    for (;;) this.add(1000);
  }
  async asks() {
    await rest(5);
    for (;;) this.add(1000);
  }
  async ask(verb: "loop" | "later") {
    return this.get(Counter, verb)[verb]();
  }
  async erase() {
    await this.ctx.storage.deleteAll();
    return "erased";
  }
  query() {
    return this.sql.all\`WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n\`;
  }
  async wait(ms: number) {
    await rest(ms);
    return "waited";
  }
  /** Goes on after the verb, and after its instance. */
  leave(ms: number) {
    setTimeout(() => this.hold(), ms);
    return "left";
  }
  hold() {
    for (;;);
  }
  abort() {
    this.ctx.abort("enough");
  }
  async alarm() {
    this.loop();
  }
  arm() {
    void this.ctx.storage.setAlarm(Date.now() + 10);
  }
}

export default frond({
  cells: { counter: Counter },
  async fetch(request, { get }) {
    const [, name = "", verb = "sum", arg] = new URL(request.url).pathname.split("/");
    if (verb === "outside") for (;;);
    // Those that wait for one promise go on in one queue of microtasks.
    if (verb === "free") return Response.json(setTimeout(() => shared.resolve(), 20) && "freed");
    if (arg === "shared") await shared.promise;
    // Some are called while the request is being parsed, some from a promise.
    if (request.method === "POST") await request.text();
    const cell = get(Counter, name) as unknown as Record<string, (arg?: unknown) => Promise<unknown>>;
    try {
      return Response.json(await cell[verb]!(arg === undefined ? undefined : Number.isNaN(Number(arg)) ? arg : Number(arg)));
    } catch (error) {
      const { code, message, retryable } = error as { code?: string; message: string; retryable?: boolean };
      return Response.json({ code, message, retryable }, { status: 500 });
    }
  },
});
`;
