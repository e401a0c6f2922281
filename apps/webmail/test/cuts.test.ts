// Large files cut out of raw messages, and put back: byte for byte, however the message was written.

import { describe, expect, test } from "vitest";
import { type Cut, cutsOf, MAX_INLINE_FILE, putBack, withoutCuts, withSizes } from "../src/cuts.ts";
import { parseMail, storedMail } from "../src/message.ts";

const LARGE = MAX_INLINE_FILE + 1;
const bytesOf = (size: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255));

function base64(bytes: Buffer, line: number, end: string): string {
  const text = bytes.toString("base64");
  return (text.match(new RegExp(`.{1,${line}}`, "g")) ?? []).join(end);
}

function part(encoding: string, body: string, name: string, end: string, more = ""): string {
  const head = [`Content-Type: application/x-thing; name="${name}"`, `Content-Disposition: attachment`];
  if (encoding !== "") head.push(`Content-Transfer-Encoding: ${encoding}`);
  return `--b${end}${head.join(end)}${more}${end}${end}${body}${end}`;
}

function message(parts: readonly string[], end: string, tail = `--b--${end}`): Buffer {
  const head = ["Subject: files", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"];
  const text = `--b${end}Content-Type: text/plain${end}${end}Hello${end}`;
  return Buffer.from(`${head.join(end)}${end}${end}${text}${parts.join("")}${tail}`, "latin1");
}

async function cut(raw: Buffer): Promise<{ cuts: readonly Cut[]; rest: Uint8Array }> {
  const { cuts } = await storedMail(raw);
  const rest = withoutCuts(raw, cuts);
  const pieces = cuts.map(({ at, size }) => raw.subarray(at, at + size));
  expect(Buffer.compare(putBack(rest, cuts, pieces), raw)).toBe(0);
  return { cuts, rest };
}

describe("a message with large files", () => {
  const large = bytesOf(LARGE);
  const forms: [string, Buffer][] = [
    ["base64, CRLF", message([part("base64", base64(large, 76, "\r\n"), "a", "\r\n")], "\r\n")],
    ["base64, LF, odd lines", message([part("base64", base64(large, 61, "\n"), "a", "\n")], "\n")],
    ["base64, blank lines around", message([part("base64", `\n\n${base64(large, 76, "\n")}\n\n`, "a", "\n")], "\n")],
    ["base64 in one line", message([part("base64", large.toString("base64"), "a", "\n")], "\n")],
    ["eight bits", message([part("8bit", "long line\u00e9\n".repeat(LARGE / 10), "a", "\n")], "\n")],
    [
      "quoted-printable",
      message([part("quoted-printable", "=E9 and so on =\n\n".repeat(LARGE / 10), "a", "\n")], "\n"),
    ],
    ["no end", message([part("base64", base64(large, 76, "\r\n"), "a", "\r\n")], "\r\n", "")],
    ["no last line end", message([], "\n", `${part("base64", base64(large, 76, "\n"), "a", "\n").trimEnd()}`)],
  ];
  test.each(forms)("%s: is cut, and put together byte for byte", async (_, raw) => {
    const { cuts, rest } = await cut(raw);
    const whole = await parseMail(raw);
    expect(cuts).toMatchObject([{ file: 0, bytes: whole.files[0]?.size }]);
    expect(rest.length).toBeLessThan(2000);
    // The rest is a message with the same parts.
    const mail = withSizes(await parseMail(rest), cuts);
    const shown = ({ subject, text, files }: typeof mail): unknown => [
      subject,
      text,
      files.map(({ name, type, size }) => [name, type, size]),
    ];
    expect(shown(mail)).toEqual(shown(whole));
    expect(mail.files[0]?.bytes.length).toBeLessThan(10);
  });

  test("several are cut, small ones and texts stay, and each keeps its number", async () => {
    const small = part("base64", base64(bytesOf(1000), 76, "\n"), "small", "\n");
    const big = (name: string): string => part("base64", base64(large, 76, "\n"), name, "\n");
    const raw = message([small, big("one"), small, big("two")], "\n");
    const { cuts, rest } = await cut(raw);
    expect(cuts.map(({ file, bytes }) => [file, bytes])).toEqual([
      [1, LARGE],
      [3, LARGE],
    ]);
    const files = withSizes(await parseMail(rest), cuts).files;
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      ["small", 1000],
      ["one", LARGE],
      ["small", 1000],
      ["two", LARGE],
    ]);
    expect(Buffer.from(files[2]?.bytes as Uint8Array).equals(bytesOf(1000))).toBe(true);
  });
});

test("a file of MAX_INLINE_FILE, a long text, and files of a message within the message stay where they are", async () => {
  const body = base64(bytesOf(MAX_INLINE_FILE), 76, "\n");
  expect((await cut(message([part("base64", body, "a", "\n")], "\n"))).cuts).toEqual([]);
  const text = Buffer.from(`Subject: long\n\n${"words and words\n".repeat(LARGE / 10)}`);
  expect((await cut(text)).cuts).toEqual([]);
  const inner = message([part("base64", base64(bytesOf(LARGE), 76, "\n"), "a", "\n")], "\n").toString("latin1");
  const nested = inner.replaceAll("--b", "--c").replace("boundary=b", "boundary=c");
  const raw = message([`--b\nContent-Type: message/rfc822\n\n${nested}\n`], "\n");
  expect((await parseMail(raw)).files.map(({ size }) => size)).toEqual([LARGE]);
  expect((await cut(raw)).cuts).toEqual([]);
});

test("what is cut stands in the order of the message, whatever the order of its files", () => {
  const file = { name: "", type: "", bytes: new Uint8Array(), cid: undefined, size: LARGE };
  const place = (at: number) => ({ ...file, place: { at, size: 10 } });
  expect(cutsOf([place(50), place(20)]).map(({ at }) => at)).toEqual([20, 50]);
});
