// drizzle-orm's driver for Durable Objects, with its migrator, on cells: as its documents show it, nothing of it changed.
// The migrations are bundles in the form that drizzle-kit generates.

import { asc, desc, eq, gt, relations, sql } from "drizzle-orm";
import { drizzle, type DrizzleSqliteDODatabase } from "drizzle-orm/durable-sqlite";
import { migrate } from "drizzle-orm/durable-sqlite/migrator";
import { blob, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { Cell } from "../../src/cell/cell.ts";
import type { CellContext } from "../../src/cell/context.ts";
import { afterKill, cellFiles, codeOf, commitsIn, failureOf, openCells, reopen } from "./nodes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const users = sqliteTable("users", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  name: text("name").notNull().unique(),
  admin: integer("admin", { mode: "boolean" }).notNull().default(false),
  born: integer("born", { mode: "timestamp_ms" }),
  score: real("score"),
  settings: text("settings", { mode: "json" }).$type<{ theme: string }>(),
  photo: blob("photo", { mode: "buffer" }),
});
const posts = sqliteTable("posts", {
  id: integer("id").primaryKey(),
  author: integer("author_id")
    .notNull()
    .references(() => users.id, { onDelete: "cascade" }),
  title: text("title").notNull(),
  stars: integer("stars").notNull().default(0),
});
const userRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
const postRelations = relations(posts, ({ one }) => ({
  author: one(users, { fields: [posts.author], references: [users.id] }),
}));
const schema = { users, posts, userRelations, postRelations };

type Bundle = Parameters<typeof migrate>[1];

const first = {
  journal: { entries: [{ idx: 0, when: 1735689600000, tag: "0000_begin", breakpoints: true }] },
  migrations: {
    m0000: `CREATE TABLE \`users\` (
	\`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	\`name\` text NOT NULL,
	\`admin\` integer DEFAULT false NOT NULL,
	\`born\` integer,
	\`score\` real,
	\`settings\` text,
	\`photo\` blob
);
--> statement-breakpoint
CREATE UNIQUE INDEX \`users_name_unique\` ON \`users\` (\`name\`);--> statement-breakpoint
CREATE TABLE \`posts\` (
	\`id\` integer PRIMARY KEY NOT NULL,
	\`author_id\` integer NOT NULL,
	\`title\` text NOT NULL,
	FOREIGN KEY (\`author_id\`) REFERENCES \`users\`(\`id\`) ON UPDATE no action ON DELETE cascade
);
`,
  },
} satisfies Bundle;

const second = {
  journal: {
    entries: [...first.journal.entries, { idx: 1, when: 1735776000000, tag: "0001_stars", breakpoints: true }],
  },
  migrations: { ...first.migrations, m0001: "ALTER TABLE `posts` ADD `stars` integer DEFAULT 0 NOT NULL;" },
} satisfies Bundle;

/** drizzle-kit makes a table anew where SQLite cannot alter it. */
const third = {
  journal: {
    entries: [...second.journal.entries, { idx: 2, when: 1735862400000, tag: "0002_title", breakpoints: true }],
  },
  migrations: {
    ...second.migrations,
    m0002: `PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE \`__new_posts\` (
	\`id\` integer PRIMARY KEY NOT NULL,
	\`author_id\` integer NOT NULL,
	\`title\` text DEFAULT 'untitled' NOT NULL,
	\`stars\` integer DEFAULT 0 NOT NULL,
	FOREIGN KEY (\`author_id\`) REFERENCES \`users\`(\`id\`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
INSERT INTO \`__new_posts\`("id", "author_id", "title", "stars") SELECT "id", "author_id", "title", "stars" FROM \`posts\`;--> statement-breakpoint
DROP TABLE \`posts\`;--> statement-breakpoint
ALTER TABLE \`__new_posts\` RENAME TO \`posts\`;--> statement-breakpoint
PRAGMA foreign_keys=ON;`,
  },
} satisfies Bundle;

/** The same for a table that others refer to: in SQLite, dropping it deletes their rows. */
const parent = {
  journal: {
    entries: [...third.journal.entries, { idx: 3, when: 1735948800000, tag: "0003_users", breakpoints: true }],
  },
  migrations: {
    ...third.migrations,
    m0003: `PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE \`__new_users\` (\`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL, \`name\` text NOT NULL);
--> statement-breakpoint
INSERT INTO \`__new_users\`("id", "name") SELECT "id", "name" FROM \`users\`;--> statement-breakpoint
DROP TABLE \`users\`;--> statement-breakpoint
ALTER TABLE \`__new_users\` RENAME TO \`users\`;--> statement-breakpoint
PRAGMA foreign_keys=ON;`,
  },
} satisfies Bundle;

class Site extends Cell {
  static bundle: Bundle = second;
  readonly db: DrizzleSqliteDODatabase<typeof schema>;

  constructor(ctx: CellContext) {
    super(ctx);
    // What drizzle asks of a storage is what ctx.storage has.
    this.db = drizzle(ctx.storage as unknown as Parameters<typeof drizzle>[0], { schema, logger: false });
    void ctx.blockConcurrencyWhile(async () => {
      await migrate(this.db, Site.bundle);
    });
  }
  async add(name: string, ...titles: string[]) {
    const [user] = await this.db.insert(users).values({ name }).returning();
    if (user === undefined) throw new Error("no row came back");
    for (const title of titles) await this.db.insert(posts).values({ author: user.id, title });
    return user;
  }
  async names() {
    return (await this.db.select({ name: users.name }).from(users).orderBy(users.id)).map((row) => row.name);
  }
  async titles() {
    return (await this.db.select().from(posts).orderBy(posts.id)).map((row) => row.title);
  }
  /** A query is run when it is awaited: by the runtime, when the verb returns it. */
  lazily() {
    return this.db.select({ name: users.name }).from(users);
  }
  types() {
    const row = {
      name: "typed",
      admin: true,
      born: new Date(86_400_000),
      score: 1.5,
      settings: { theme: "dark" },
      photo: Buffer.from([1, 2, 255]),
    };
    const read = this.db.insert(users).values(row).returning().get();
    const { id: _, photo, ...rest } = read;
    expect(rest).toEqual({ ...rest, ...row, photo: undefined });
    expect([...(photo as Uint8Array)]).toEqual([1, 2, 255]);
    this.db.insert(users).values({ name: "plain" }).run();
    const plain = this.db.select().from(users).where(eq(users.name, "plain")).get();
    expect(plain).toMatchObject({ admin: false, born: null, score: null, settings: null, photo: null });
    return this.db.select().from(users).where(eq(users.name, "nobody")).get();
  }
  crud() {
    const { db } = this;
    db.insert(users)
      .values([{ name: "ann" }, { name: "bob" }, { name: "cleo" }])
      .run();
    db.update(users).set({ score: 3 }).where(gt(users.id, 1)).run();
    db.delete(users).where(eq(users.name, "bob")).run();
    db.insert(users)
      .values({ name: "ann", score: 9 })
      .onConflictDoUpdate({ target: users.name, set: { score: sql`excluded.score` } })
      .run();
    return db.select({ name: users.name, score: users.score }).from(users).orderBy(desc(users.score)).all();
  }
  joins() {
    const counted = sql<number>`count(${posts.id})`;
    return this.db
      .select({ name: users.name, posts: counted })
      .from(users)
      .leftJoin(posts, eq(posts.author, users.id))
      .groupBy(users.id)
      .orderBy(asc(users.name))
      .all();
  }
  async relational() {
    const found = await this.db.query.users.findMany({ with: { posts: { orderBy: posts.id } }, orderBy: users.name });
    const post = this.db.query.posts.findFirst({ with: { author: true }, where: eq(posts.title, "two") }).sync();
    return { found: found.map((user) => [user.name, user.posts.map((one) => one.title)]), author: post?.author.name };
  }
  raw() {
    const { db } = this;
    return {
      run: db.run(sql`UPDATE users SET score = ${5} WHERE name = ${"ann"}`),
      all: db.all(sql`SELECT name, score FROM users ORDER BY id`),
      get: db.get(sql`SELECT count(*) AS n FROM users`),
      values: db.values(sql`SELECT name, name FROM users ORDER BY id LIMIT 1`),
      prepared: db
        .select({ id: users.id })
        .from(users)
        .where(eq(users.name, sql.placeholder("name")))
        .prepare()
        .all({ name: "bob" }),
    };
  }
  transactions() {
    const { db } = this;
    db.transaction((tx) => {
      tx.insert(users).values({ name: "kept" }).run();
      try {
        tx.transaction((inner) => {
          inner.insert(users).values({ name: "undone" }).run();
          inner.rollback();
        });
      } catch {
        // Only the inner one is undone.
      }
    });
    try {
      db.transaction((tx) => {
        tx.insert(users).values({ name: "gone" }).run();
        tx.rollback();
      });
    } catch (error) {
      return (error as Error).constructor.name;
    }
    return "not rolled back";
  }
  async asyncTransaction(fails: boolean) {
    return this.ctx.storage.transaction(async () => {
      const user = await this.add("in the storage's transaction", "its post");
      await turn();
      if (fails) throw new Error("all of it goes");
      return user.name;
    });
  }
  twice(name: string) {
    this.db.insert(users).values({ name }).run();
    this.db.insert(users).values({ name }).run();
  }
  wrongType() {
    this.db.run(sql`UPDATE users SET name = ${undefined}`);
  }
  remove(name: string) {
    this.db.delete(users).where(eq(users.name, name)).run();
  }
  applied() {
    return this.sql.one<{ n: number }>`SELECT count(*) AS n FROM __drizzle_migrations`.n;
  }
  foreignKeys() {
    return this.sql.one<{ foreign_keys: number }>`PRAGMA foreign_keys`.foreign_keys;
  }
  async deleteAll() {
    await this.ctx.storage.deleteAll();
    this.ctx.abort("begin anew");
  }
}

const cells = { site: Site };

async function site(bundle: Bundle = second) {
  Site.bundle = bundle;
  const opened = await openCells(cells);
  return { ...opened, a: opened.get(Site, "a") };
}

test("drizzle migrates a cell in its constructor; a cell that was only looked at leaves nothing", async () => {
  const { a, ...opened } = await site();
  expect(await a.names()).toEqual([]);
  expect(await a.applied()).toBe(2);
  expect(opened.node.ledger.count()).toBe(0);
  expect(await a.add("ann", "one")).toMatchObject({ id: 1, name: "ann", admin: false });
  await opened.get(Site, "looked at").names();
  await opened.node.commitLog.flushed();
  expect(commitsIn(opened.directory, "site/a").map(({ changes }) => changes.length)).toEqual([1, 0]);
  const again = await reopen(opened, cells);
  expect(cellFiles(again.directory)).toHaveLength(1);
  expect(await again.get(Site, "a").titles()).toEqual(["one"]);
});

test("drizzle creates, reads, updates and deletes rows", async () => {
  const { a } = await site();
  expect(await a.crud()).toEqual([
    { name: "ann", score: 9 },
    { name: "cleo", score: 3 },
  ]);
  expect(await a.types()).toBeUndefined();
  expect(await a.lazily()).toContainEqual({ name: "plain" });
});

test("drizzle joins and follows relations", async () => {
  const { a } = await site();
  await a.add("ann", "one", "two");
  await a.add("bob");
  expect(await a.joins()).toEqual([
    { name: "ann", posts: 2 },
    { name: "bob", posts: 0 },
  ]);
  expect(await a.relational()).toEqual({
    found: [
      ["ann", ["one", "two"]],
      ["bob", []],
    ],
    author: "ann",
  });
  await a.remove("ann");
  expect(await a.titles()).toEqual([]);
});

test("drizzle's raw statements, prepared ones and their results", async () => {
  const { a } = await site();
  await a.add("ann");
  await a.add("bob");
  expect(await a.raw()).toEqual({
    run: undefined,
    all: [
      { name: "ann", score: 5 },
      { name: "bob", score: null },
    ],
    get: { n: 2 },
    values: [["ann", "ann"]],
    prepared: [{ id: 2 }],
  });
});

test("drizzle's transactions nest and roll back, and take part in that of the storage", async () => {
  const { a } = await site();
  expect(await a.transactions()).toBe("TransactionRollbackError");
  expect(await a.names()).toEqual(["kept"]);
  expect((await failureOf(a.asyncTransaction(true))).message).toBe("all of it goes");
  expect(await a.names()).toEqual(["kept"]);
  expect(await a.asyncTransaction(false)).toBe("in the storage's transaction");
  expect(await a.titles()).toEqual(["its post"]);
});

test("errors of drizzle's statements have frond's as their cause, and undo a sync verb", async () => {
  const { a } = await site();
  const cause = async (call: Promise<unknown>) => {
    const error = await failureOf(call);
    return error.code ?? (error.cause as { code?: unknown } | undefined)?.code;
  };
  expect(await cause(a.twice("ann"))).toBe("SQL_CONSTRAINT");
  expect(await a.names()).toEqual([]);
});

test("a migration that is added later runs when the cell is opened, also after a kill", async () => {
  const { a, ...opened } = await site(first);
  await a.add("ann");
  await opened.node.commitLog.flushed();
  Site.bundle = third;
  for (const options of [{}, { boot: "another boot" }]) {
    const killed = await afterKill(opened, cells, options);
    const again = killed.get(Site, "a");
    expect(await again.names()).toEqual(["ann"]);
    expect(await again.applied()).toBe(3);
    await again.add("bob", "his post");
    expect(await again.titles()).toEqual(["his post"]);
    expect(await again.foreignKeys()).toBe(1);
    await killed.node.commitLog.flushed();
    const later = await afterKill(killed, cells);
    expect(await later.get(Site, "a").titles()).toEqual(["his post"]);
  }
});

test("a migration that would delete rows through a foreign key which it believes switched off is refused", async () => {
  const { a, ...opened } = await site(third);
  await a.add("ann", "one");
  Site.bundle = parent;
  const again = await reopen(opened, cells);
  const failure = await failureOf(again.get(Site, "a").names());
  expect(failure.code).toBe("ACTIVATION_FAILED");
  expect(failure.message).toContain("posts");
  Site.bundle = third;
  expect(await again.get(Site, "a").titles()).toEqual(["one"]);
  // Where nothing would be lost it runs.
  await again.get(Site, "a").remove("ann");
  Site.bundle = parent;
  const third1 = await reopen(again, cells);
  expect(await third1.get(Site, "a").applied()).toBe(4);
});

test("a migration that fails leaves the cell as it was, and the next start tries again", async () => {
  const { a, ...opened } = await site(first);
  await a.add("ann");
  Site.bundle = { ...second, migrations: { ...second.migrations, m0001: "ALTER TABLE nowhere ADD x;" } } as Bundle;
  const again = await reopen(opened, cells);
  // drizzle itself says "Rollback".
  expect(await failureOf(again.get(Site, "a").names())).toMatchObject({
    code: "ACTIVATION_FAILED",
    message: expect.stringContaining("no such table: nowhere") as unknown,
  });
  Site.bundle = second;
  expect(await again.get(Site, "a").names()).toEqual(["ann"]);
  expect(await again.get(Site, "a").applied()).toBe(2);
});

test("a cell that was deleted is migrated by its next instance", async () => {
  const { a, ...opened } = await site();
  await a.add("ann");
  expect(await codeOf(a.deleteAll())).toBe("ABORTED");
  expect(await a.names()).toEqual([]);
  expect(opened.node.ledger.count()).toBe(0);
  await a.add("bob");
  await opened.node.commitLog.flushed();
  const killed = await afterKill(opened, cells, { boot: "another boot" });
  expect(await killed.get(Site, "a").names()).toEqual(["bob"]);
});
