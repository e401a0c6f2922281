// The tables of a mailbox, as its migrations make them.
//
// Rule: only ever append a migration. What changes about a message (folder, read, star) stands in a small table of its
// own: changing one flag rewrites the row that holds it, and a row of `message` holds the raw bytes. Triggers keep the
// numbers of the folders, so that no verb can forget them and no list has to count.

export const MAILBOX_MIGRATIONS: readonly string[] = [
  // raw stands last: a list reads the columns before it without walking over its pages.
  `CREATE TABLE message (
       id INTEGER PRIMARY KEY,
       identity BLOB NOT NULL UNIQUE,
       received INTEGER NOT NULL,
       sent INTEGER,
       sender TEXT NOT NULL,
       recipients TEXT NOT NULL,
       subject TEXT NOT NULL,
       files TEXT NOT NULL,
       body TEXT NOT NULL,
       raw BLOB NOT NULL
     ) STRICT;
     CREATE VIRTUAL TABLE search USING fts5(
       subject, sender, recipients, files, body,
       content = 'message', content_rowid = 'id', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
     );`,
  // counter.last: the last number given to a message, a draft or a place in a list; never given again.
  // counter.arrived: messages that were ever delivered, the erased ones too.
  // state.pos orders a folder: a snoozed message comes back on top. state.due: when it does, in ms since 1970.
  // forgotten: erased messages, so that one that is delivered again stays erased. outgoing: recipients not yet reached.
  `CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL, arrived INTEGER NOT NULL) STRICT;
     CREATE TABLE folder (name TEXT PRIMARY KEY, messages INTEGER NOT NULL, unread INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE state (
       id INTEGER PRIMARY KEY,
       folder TEXT NOT NULL,
       pos INTEGER NOT NULL,
       unread INTEGER NOT NULL,
       starred INTEGER NOT NULL,
       due INTEGER
     ) STRICT;
     CREATE UNIQUE INDEX state_pos ON state (folder, pos);
     CREATE INDEX state_starred ON state (pos) WHERE starred = 1;
     CREATE TABLE forgotten (identity BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
     CREATE TABLE draft (
       id INTEGER PRIMARY KEY,
       changed INTEGER NOT NULL,
       recipients TEXT NOT NULL,
       copies TEXT NOT NULL,
       subject TEXT NOT NULL,
       body TEXT NOT NULL,
       answers TEXT NOT NULL,
       thread TEXT NOT NULL
     ) STRICT;
     CREATE TABLE draft_file (
       id INTEGER PRIMARY KEY,
       draft INTEGER NOT NULL,
       name TEXT NOT NULL,
       type TEXT NOT NULL,
       bytes BLOB NOT NULL
     ) STRICT;
     CREATE TABLE outgoing (
       message INTEGER NOT NULL, recipient TEXT NOT NULL, PRIMARY KEY (message, recipient)
     ) STRICT, WITHOUT ROWID;
     CREATE TRIGGER state_added AFTER INSERT ON state BEGIN
       UPDATE folder SET messages = messages + 1, unread = unread + new.unread WHERE name = new.folder;
     END;
     CREATE TRIGGER state_removed AFTER DELETE ON state BEGIN
       UPDATE folder SET messages = messages - 1, unread = unread - old.unread WHERE name = old.folder;
     END;
     CREATE TRIGGER state_changed AFTER UPDATE OF folder, unread ON state BEGIN
       UPDATE folder SET messages = messages - 1, unread = unread - old.unread WHERE name = old.folder;
       UPDATE folder SET messages = messages + 1, unread = unread + new.unread WHERE name = new.folder;
     END;
     INSERT INTO folder VALUES ('inbox', 0, 0), ('snoozed', 0, 0), ('sent', 0, 0), ('archive', 0, 0), ('trash', 0, 0);
     INSERT INTO counter SELECT 1, coalesce(max(id), 0), count(*) FROM message;
     INSERT INTO state SELECT id, 'inbox', id, 1, 0, NULL FROM message;`,
  // cut: what a raw message lacks, because it is kept as a file of the cell: `size` bytes from `at` on, where `file` of the
  // message stands (from 0), which has `bytes` bytes when it is decoded.
  `CREATE TABLE cut (
       message INTEGER NOT NULL,
       at INTEGER NOT NULL,
       size INTEGER NOT NULL,
       file INTEGER NOT NULL,
       bytes INTEGER NOT NULL,
       hash TEXT NOT NULL,
       PRIMARY KEY (message, at)
     ) STRICT, WITHOUT ROWID;`,
];
