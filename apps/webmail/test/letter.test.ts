// What is typed becomes a message that reads back the same, and cannot become more headers than were meant.

import fc from "fast-check";
import { expect, test } from "vitest";
import { writeLetter, type LetterParts } from "../src/letter.ts";
import { parseMail } from "../src/message.ts";

const PARTS: LetterParts = {
  from: "ann@example.org",
  to: ["bob@example.org"],
  cc: [],
  subject: "",
  body: "",
  answers: "",
  thread: "",
  files: [],
};

/** The names of the header fields. */
function fields(raw: Uint8Array): string[] {
  const head = Buffer.from(raw).toString("latin1").split("\r\n\r\n", 1)[0] ?? "";
  return head.split(/\r\n(?![ \t])/).map((line) => line.slice(0, line.indexOf(":")));
}

test("any subject and text read back as they were, on lines that mail may have, in 7 bits", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "grapheme", maxLength: 300 }),
      fc.string({ unit: "grapheme" }),
      async (subject, body) => {
        const raw = writeLetter({ ...PARTS, subject, body }, 0);
        const text = Buffer.from(raw).toString("latin1");
        expect(text).toMatch(/^[\t\r\n\u0020-\u007e]*$/);
        expect(Math.max(...text.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(998);
        const mail = await parseMail(raw);
        expect(mail.subject).toBe(
          subject
            .replace(/\s+/g, " ")
            .trim()
            .replace(/\p{Cc}/gu, " ")
            .replace(/\s+/g, " ")
            .trim(),
        );
        expect(mail.text.replace(/\n$/, "")).toBe(
          body
            .replace(/\r\n?/g, "\n")
            .replace(/[\p{Cc}]/gu, (sign) => ("\n\t".includes(sign) ? sign : " "))
            .replace(/\n$/, ""),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("nothing that is typed or named ends a header", () => {
  const evil = "x\r\nBcc: victim@example.org\r\n\r\nbody";
  const raw = writeLetter(
    {
      ...PARTS,
      from: evil,
      to: [evil],
      cc: [evil],
      subject: evil,
      answers: `${evil} <a@b>`,
      thread: `<a@b> ${evil} <c\r\nX: y@d>`,
      files: [{ name: evil, type: `text/plain\r\nX: ${evil}`, bytes: Buffer.from("x") }],
    },
    0,
  );
  const wanted = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
  ];
  expect(fields(raw)).toEqual(wanted);
  expect(Buffer.from(raw).toString()).not.toMatch(/^(?:Bcc|X):/m);
});

test("files keep their names, types and bytes", async () => {
  const files = [
    { name: "plain.txt", type: "text/plain", bytes: Buffer.from("a\nb") },
    { name: 'ü "quoted" (1).PDF', type: "application/pdf", bytes: Buffer.from([0, 255, 13, 10]) },
    { name: "empty", type: "nonsense", bytes: Buffer.alloc(0) },
  ];
  const mail = await parseMail(writeLetter({ ...PARTS, body: "see", files }, 0));
  expect(mail.files.map(({ name, type, bytes }) => [name, type, Buffer.from(bytes).toString("hex")])).toEqual([
    ["plain.txt", "text/plain", "610a62"],
    ['ü "quoted" (1).PDF', "application/pdf", "00ff0d0a"],
    ["empty", "application/octet-stream", ""],
  ]);
});

test("two letters are never the same message", () => {
  expect(Buffer.from(writeLetter(PARTS, 0)).equals(writeLetter(PARTS, 0))).toBe(false);
});
