// The mail app: mailboxes as cells, mail in over SMTP, a page over HTTP. `frond start apps/webmail/src/app.ts` runs it.
//
// Settings come from the environment (settings.ts, README). Where the SMTP server really listens stands in the log and,
// for programs, in the file SMTP_FILE of the data directory while the node runs.

import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { frond } from "frond";
import { Delivery } from "./delivery.ts";
import { Directory } from "./directory.ts";
import { Mailbox } from "./mailbox.ts";
import { answer } from "./pages.ts";
import { readSettings } from "./settings.ts";
import { openMailDoor } from "./smtp.ts";

/** File in the data directory that holds HOST:PORT of the SMTP server. */
export const SMTP_FILE = "smtp.address";

export default frond({
  cells: { mailbox: Mailbox, directory: Directory },
  fetch: (request, { get }) => answer(request, get),
  async start({ get, log, dataDirectory }) {
    const delivery = new Delivery(get);
    const door = await openMailDoor(readSettings(process.env), (raw, boxes) => delivery.deliver(raw, boxes), log);
    const file = path.join(dataDirectory, SMTP_FILE);
    await writeFile(file, `${door.host}:${door.port}\n`);
    log.info({ smtp: `${door.host}:${door.port}` }, "mail comes in here");
    return async () => {
      await door.stop();
      await rm(file, { force: true });
    };
  },
});
