// The first message of a mailbox that somebody made on the page: with it the mailbox begins to exist.

import { writeLetter } from "./letter.ts";

/** The letter that welcomes `name`, written at `now` (ms since 1970). */
export function welcomeLetter(name: string, now: number): Uint8Array {
  return writeLetter(
    {
      from: "postmaster",
      to: [name],
      cc: [],
      subject: "Welcome to frond mail",
      body: `Hello,

this is your mailbox: ${name}. It is one cell of frond, a small server of its own with its own database.

- Press c to write. Everybody with a mailbox on this server can be reached; a name alone is completed with your domain.
- Press e to archive, # to delete, z to snooze, and ? for all keys.
- Open the mailbox in a second tab: what you do in one shows in the other.

It is a demo: there are no passwords, so keep no secrets here.
`,
      answers: "",
      thread: "",
      files: [],
    },
    now,
  );
}
