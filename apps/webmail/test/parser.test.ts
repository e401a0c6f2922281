// Messages that are built to cost much: each is read in memory and time that go by its bytes. Without the bounds these
// tests end at their time limit or for want of memory.

import { expect, test } from "vitest";
import { safeHtml, textOfHtml } from "../src/html.ts";
import { NotAMessage, parseMail } from "../src/message.ts";
import { MAX_PARTS } from "../src/parser.ts";

const MIB = 1024 * 1024;

test("millions of lines are one text", async () => {
  const { text } = await parseMail(Buffer.from(`Subject: lines\n\n${"\n".repeat(4 * MIB)}x`));
  expect([text.length, text.trim()]).toEqual([4 * MIB + 2, "x"]);
});

test("base64 with padding on each line is one file, byte for byte", async () => {
  const head = "Content-Type: application/x-thing\nContent-Transfer-Encoding: base64\n\n";
  const { files } = await parseMail(Buffer.from(`${head}${"QQ==\nQkM=\n\tR E V G ?\n".repeat(100_000)}Rw`));
  expect(Buffer.from(files[0]?.bytes ?? []).equals(Buffer.from(`${"ABCDEF".repeat(100_000)}G`))).toBe(true);
});

test("a message with too many parts is refused, also if they are in messages within it; one with as many as may be is read", async () => {
  const parts = (count: number, boundary: string, part = "\nx\n"): string =>
    `Content-Type: multipart/mixed; boundary=${boundary}\n\n${`--${boundary}\n${part}`.repeat(count)}--${boundary}--\n`;
  const nested = parts(40, "outer", `Content-Type: message/rfc822\n\n${parts(40, "inner")}`);
  for (const raw of [parts(MAX_PARTS, "b"), parts(MIB, "b"), nested]) {
    await expect(parseMail(Buffer.from(raw))).rejects.toThrow(NotAMessage);
  }
  const { text } = await parseMail(Buffer.from(parts(MAX_PARTS - 1, "b")));
  expect(text.match(/x/g)?.length).toBe(MAX_PARTS - 1);
});

test("messages that are read at the same time do not count towards each other", async () => {
  const part = `Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(MAX_PARTS - 1)}`;
  const read = await Promise.all(Array.from({ length: 3 }, () => parseMail(Buffer.from(part))));
  expect(read.map(({ text }) => text.match(/x/g)?.length)).toEqual([MAX_PARTS - 1, MAX_PARTS - 1, MAX_PARTS - 1]);
});

test.each(["<b>", "<b></p>", "<b><i>x</i>\n", "<div>"])(
  "HTML that opens %j without end is cut, and says so",
  (tags) => {
    const html = `<p>Dear reader</p>${tags.repeat(MIB / tags.length)}`;
    const shown = safeHtml(html, new Map());
    expect([shown.cut, shown.html.startsWith("<p>Dear reader</p>")]).toEqual([true, true]);
    expect(textOfHtml(html)).toMatch(/^Dear reader/);
  },
);
