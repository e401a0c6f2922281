// The mail app: mailboxes as cells, mail in over SMTP, pages over HTTP. `frond start apps/webmail/src/app.ts` runs it.
//
// Settings come from the environment (settings.ts, README).

import { frond } from "frond";
import { Delivery } from "./delivery.ts";
import { Directory } from "./directory.ts";
import { Keys } from "./keys.ts";
import { Mailbox } from "./mailbox.ts";
import { FrontDoor } from "./pages.ts";
import { readSettings } from "./settings.ts";
import { openMailDoor } from "./smtp.ts";

let front: FrontDoor | undefined;

export default frond({
  cells: { mailbox: Mailbox, directory: Directory, keys: Keys },
  fetch: (request, context) => (front ??= new FrontDoor(readSettings(process.env))).answer(request, context),
  async start({ get, log }) {
    const delivery = new Delivery(get);
    const door = await openMailDoor(readSettings(process.env), (raw, boxes) => delivery.deliver(raw, boxes), log);
    log.info({ host: door.host, port: door.port }, "mail comes in by SMTP");
    return () => door.stop();
  },
});
