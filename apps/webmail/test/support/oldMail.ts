// The mail app as it was when a mailbox had messages and no folders: it makes data directories of that time.

import { frond } from "frond";
import { Delivery } from "../../src/delivery.ts";
import { Directory } from "../../src/directory.ts";
import { type Delivered, Mailbox } from "../../src/mailbox.ts";
import type { StoredMail } from "../../src/message.ts";
import { MAILBOX_MIGRATIONS } from "../../src/schema.ts";
import { readSettings } from "../../src/settings.ts";
import { openMailDoor } from "../../src/smtp.ts";

class OldMailbox extends Mailbox {
  static override migrations = MAILBOX_MIGRATIONS.slice(0, 1);

  override deliver(mail: StoredMail): Delivered {
    const { id } = this.sql.one<{ id: number }>`
      INSERT INTO message (identity, received, sent, sender, recipients, subject, files, body, raw)
      VALUES (${mail.identity}, ${Date.now()}, ${mail.sent}, ${mail.sender}, ${mail.recipients}, ${mail.subject},
              ${mail.files}, ${mail.body}, ${mail.raw})
      RETURNING id`;
    this.sql`
      INSERT INTO search (rowid, subject, sender, recipients, files, body)
      VALUES (${id}, ${mail.subject}, ${mail.sender}, ${mail.recipients}, ${mail.files}, ${mail.body})`;
    return { id, added: true, messages: this.sql.one<{ n: number }>`SELECT count(*) AS n FROM message`.n };
  }
}

export default frond({
  cells: { mailbox: OldMailbox, directory: Directory },
  async start({ get, log }) {
    const delivery = new Delivery((type, name) =>
      get((type as unknown) === Mailbox ? (OldMailbox as never) : type, name),
    );
    const door = await openMailDoor(readSettings(process.env), (raw, boxes) => delivery.deliver(raw, boxes), log);
    return () => door.stop();
  },
});
