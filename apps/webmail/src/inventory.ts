// What is in a mailbox, as far as a restore changes it: now, or at a moment of its past.
//
// Rule: the same statement reads both, so that they can be compared; a message is known by its bytes, for numbers can be
// those of others in another past.

/** One message or draft. */
export interface Item {
  readonly key: string;
  readonly draft: 0 | 1;
  /** Changes when something about it changes: its folder, that it was read, what is written in it. */
  readonly mark: string;
  readonly subject: string;
}

/** How many things a mailbox holds. */
export interface Totals {
  readonly messages: number;
  /** Of them, those in the inbox. */
  readonly inbox: number;
  readonly unread: number;
  readonly drafts: number;
}

type All<R> = (strings: TemplateStringsArray) => R;

/** Everything in the mailbox. */
export function inventory<R>(all: All<R>): R {
  return all`
    SELECT hex(identity) AS key, 0 AS draft, folder || ' ' || unread || ' ' || starred || ' ' || coalesce(due, '') AS mark,
           substr(subject, 1, 80) AS subject
    FROM message JOIN state USING (id)
    UNION ALL
    SELECT id, 1, recipients || char(10) || copies || char(10) || subject || char(10) || body, substr(subject, 1, 80) FROM draft`;
}

/** Their numbers. */
export function totals<R>(one: All<R>): R {
  return one`
    SELECT sum(messages) AS messages, sum(messages) FILTER (WHERE name = 'inbox') AS inbox, sum(unread) AS unread, (SELECT count(*) FROM draft) AS drafts
    FROM folder`;
}

/** What a restore would do. */
export interface Differences {
  readonly messagesBack: readonly Item[];
  readonly messagesGone: readonly Item[];
  readonly draftsBack: readonly Item[];
  readonly draftsGone: readonly Item[];
  /** Things that are in both, but not alike. Counts. */
  readonly messagesChanged: number;
  readonly draftsChanged: number;
}

/** Compares what was then with what is now. */
export function compare(then: readonly Item[], now: readonly Item[]): Differences {
  const [was, is] = [byKey(then), byKey(now)];
  const back = then.filter((item) => !is.has(keyOf(item)));
  const gone = now.filter((item) => !was.has(keyOf(item)));
  const changed = now.filter((item) => (was.get(keyOf(item))?.mark ?? item.mark) !== item.mark);
  return {
    messagesBack: back.filter(({ draft }) => draft === 0),
    messagesGone: gone.filter(({ draft }) => draft === 0),
    draftsBack: back.filter(({ draft }) => draft === 1),
    draftsGone: gone.filter(({ draft }) => draft === 1),
    messagesChanged: changed.filter(({ draft }) => draft === 0).length,
    draftsChanged: changed.filter(({ draft }) => draft === 1).length,
  };
}

function byKey(items: readonly Item[]): ReadonlyMap<string, Item> {
  return new Map(items.map((item) => [keyOf(item), item]));
}

function keyOf({ key, draft }: Item): string {
  return `${draft} ${key}`;
}
