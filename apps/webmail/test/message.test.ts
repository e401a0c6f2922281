// Raw messages, also terrible ones, and the words that are stored of them.

import { describe, expect, test } from "vitest";
import { MAX_SEARCHED_TEXT, NotAMessage, parseMail, storedMail } from "../src/message.ts";

function raw(...lines: string[]): Uint8Array {
  return new Uint8Array(Buffer.from(lines.join("\r\n"), "latin1"));
}

describe("a message", () => {
  test("is taken apart: fields, text, HTML, files", async () => {
    const mail = await parseMail(
      raw(
        "From: =?utf-8?Q?Andr=C3=A9?= <a@example.org>",
        "To: Team: b@example.org, C <c@example.org>;",
        "Cc: d@example.org",
        "Subject: =?iso-8859-1?Q?Gr=FC=DFe?=",
        "Date: Thu, 22 Aug 2002 18:26:25 +0700",
        'Content-Type: multipart/mixed; boundary="x"',
        "",
        "--x",
        'Content-Type: text/plain; charset="iso-8859-1"',
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "caf=E9",
        "--x",
        'Content-Type: image/png; name="=?utf-8?Q?bild_=E2=98=83.png?="',
        "Content-ID: <pic@x>",
        "Content-Transfer-Encoding: base64",
        "",
        "iVBORw==",
        "--x",
        "Content-Type: application/pdf",
        "Content-Disposition: attachment",
        "",
        "pdf",
        "--x--",
      ),
    );
    expect(mail).toMatchObject({
      sender: "Andr\u00e9 <a@example.org>",
      recipients: "Team: b@example.org, C <c@example.org>;, d@example.org",
      subject: "Gr\u00fc\u00dfe",
      sent: Date.UTC(2002, 7, 22, 11, 26, 25),
      html: undefined,
    });
    expect(mail.text.trim()).toBe("caf\u00e9");
    expect(mail.files.map(({ name, type, cid }) => ({ name, type, cid }))).toEqual([
      { name: "bild \u2603.png", type: "image/png", cid: "pic@x" },
      { name: "part-2.pdf", type: "application/pdf", cid: undefined },
    ]);
    expect([...(mail.files[0]?.bytes ?? [])]).toEqual([0x89, 0x50, 0x4e, 0x47]);
  });

  test("of HTML alone is searched by the text of the HTML", async () => {
    const { body } = await storedMail(raw("Content-Type: text/html", "", "<p>fo<b>o</b></p><script>hidden</script>"));
    expect(body).toBe("foo");
  });

  test("that spells letters and their marks apart is stored as one types them", async () => {
    const mail = await storedMail(Buffer.from("Subject: u\u0308ber\n\n\u1112\u1161\u11ab\n"));
    expect([mail.subject, mail.body.trim()]).toEqual(["\u00fcber", "\ud55c"]);
  });

  test("cannot turn the direction of a name, so that it reads as another one", async () => {
    const mail = await parseMail(
      Buffer.from(
        'From: "\u202emoc.elpmaxe@knab" <x@example.org>\nSubject: \u2067a\u2069b\n' +
          "Content-Type: application/x; name=\u202egpj.exe\n\nx",
      ),
    );
    expect([mail.sender, mail.subject, mail.files[0]?.name]).toEqual([
      '"moc.elpmaxe@knab" <x@example.org>',
      "ab",
      "gpj.exe",
    ]);
  });

  test("without a date, sender or subject is a message still", async () => {
    expect(await storedMail(raw("X: 1", "", "text"))).toMatchObject({ sender: "", subject: "", sent: null, files: "" });
    expect(await storedMail(raw("Date: yesterday", "", "text"))).toMatchObject({ sent: null });
  });

  test.each([
    ["NUL and control characters", ["Subject: a\0b\u0001c", "", "d\0e\u0002f"], "a b c", "d e f"],
    ["an unknown charset", ["Content-Type: text/plain; charset=x-klingon", "", "text"], "", "text"],
    ["broken base64", ["Content-Transfer-Encoding: base64", "", "dGV4dA=!?"], "", "text"],
    [
      "half a surrogate pair in UTF-16",
      ["Content-Type: text/plain; charset=utf-16le", "", "a\0\u0000\u00d8b\0"],
      "",
      "a\ufffdb\ufffd",
    ],
    ["a multipart without its boundary", ["Content-Type: multipart/mixed", "", "text"], "", "text"],
  ])("with %s is cleaned, not refused", async (_what, lines, subject, body) => {
    const given = raw(...lines);
    const mail = await storedMail(given);
    expect([mail.subject, mail.body.trim()]).toEqual([subject, body]);
    expect(mail.raw).toEqual(raw(...lines));
  });

  test("with more text than search takes is cut between characters", async () => {
    const { body } = await storedMail(
      new Uint8Array(Buffer.from(`X: 1\r\n\r\n ${"\u{1f600}".repeat(MAX_SEARCHED_TEXT / 2)}`)),
    );
    expect(body.length).toBe(MAX_SEARCHED_TEXT);
    expect(body.isWellFormed()).toBe(true);
  });

  test.each([
    ["nothing", ""],
    ["an empty header", "\r\nonly a body"],
    ["a line that is no field", "GET / HTTP/1.1\r\n\r\n"],
    ["a continuation of nothing", " a: b\r\n\r\n"],
    ["a name with a space in it", "Dear Sir: hello\r\n\r\n"],
    ["bytes", "\u00ff\u00fe\0\0"],
  ])("is not made of %s", async (_what, text) => {
    await expect(storedMail(raw(text))).rejects.toThrow(NotAMessage);
  });

  test("nested without end is no message", async () => {
    const nested: string[] = [];
    for (let i = 0; i < 300; i++) nested.push(`Content-Type: multipart/mixed; boundary=b${i}`, "", `--b${i}`);
    await expect(storedMail(raw(...nested, "", "text"))).rejects.toThrow("cannot be read");
  });

  test("is known by its bytes", async () => {
    const [a, again, b] = await Promise.all([
      storedMail(raw("A: 1", "", "x")),
      storedMail(raw("A: 1", "", "x")),
      storedMail(raw("A: 1", "", "y")),
    ]);
    expect(a.identity).toEqual(again.identity);
    expect(a.identity).not.toEqual(b.identity);
    expect(a.identity.length).toBe(32);
  });
});
