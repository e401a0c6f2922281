// What stands in an answer before its writer begins.

import { expect, test } from "vitest";
import { parseMail } from "../src/message.ts";
import { type AnswerWay, type Opening, openingFor } from "../src/quote.ts";

async function answer(way: AnswerWay, head: string, text = "Hello\n", self = "ann@example.org"): Promise<Opening> {
  return openingFor(way, await parseMail(Buffer.from(`${head}\n\n${text}`)), self);
}

const HEAD =
  "From: Bob B <bob@example.org>\nTo: ann@example.org, Cy <CY@example.org>\nCc: dee@example.org\nSubject: Plan";

test("an answer goes to the sender, one to all to everybody but oneself", async () => {
  expect(await answer("reply", HEAD)).toMatchObject({ recipients: "bob@example.org", copies: "", subject: "Re: Plan" });
  expect((await answer("all", HEAD)).copies).toBe("cy@example.org, dee@example.org");
  expect((await answer("reply", `Reply-To: list@example.org\n${HEAD}`)).recipients).toBe("list@example.org");
  expect((await answer("all", `Reply-To: list@example.org\n${HEAD}`)).copies).toBe("cy@example.org, dee@example.org");
});

test("an answer to one's own letter goes on to those whom it went to", async () => {
  const own = await answer("reply", HEAD, "Hello", "bob@example.org");
  expect([own.recipients, own.copies]).toEqual(["ann@example.org, cy@example.org, dee@example.org", ""]);
});

test("an answer to all goes to each of hundreds, and never to an address that is only part of a name", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `p${i}@department.example.org`);
  const named = many.map((address, i) => `"Person, number ${i} <x@example.org>" <${address}>`);
  const { recipients, copies } = await answer(
    "all",
    `From: "boss@example.org, or so \\\\ \\"" <bob@example.org>\nTo: ${named.join(",\n ")}`,
  );
  expect([recipients, copies]).toEqual(["bob@example.org", many.join(", ")]);
});

test.each([
  ["Re: Plan", "Re: Plan", "Fwd: Re: Plan"],
  ["RE: Plan", "RE: Plan", "Fwd: RE: Plan"],
  ["Re[2]: Plan", "Re[2]: Plan", "Fwd: Re[2]: Plan"],
  ["Fwd: Plan", "Re: Fwd: Plan", "Fwd: Plan"],
  ["Regarding", "Re: Regarding", "Fwd: Regarding"],
])("%j is answered as %j and forwarded as %j", async (subject, reply, forward) => {
  const head = `From: b@example.org\nSubject: ${subject}`;
  expect([(await answer("reply", head)).subject, (await answer("forward", head)).subject]).toEqual([reply, forward]);
});

test("a thread is carried on", async () => {
  const ids = await answer("reply", `${HEAD}\nMessage-ID: <3@x>\nReferences: <1@x>\n <2@x>`);
  expect([ids.answers, ids.thread]).toEqual(["<3@x>", "<1@x> <2@x> <3@x>"]);
  expect((await answer("forward", `${HEAD}\nMessage-ID: <3@x>`)).thread).toBe("");
});

test("what is quoted stands behind signs, and is not without end", async () => {
  const { body } = await answer("reply", `${HEAD}\nDate: Tue, 5 May 2026 10:00:00 +0200`, "one\n> two\n\nthree\n\n");
  expect(body).toBe("\n\nOn 5 May 2026 at 08:00 UTC, Bob B <bob@example.org> wrote:\n> one\n>> two\n> \n> three");
  const { body: edged } = await answer("reply", HEAD, " \n\n  one\n\n");
  expect(edged.endsWith("wrote:\n>   one")).toBe(true);
  expect((await answer("reply", HEAD, "x\n".repeat(500_000))).body.length).toBeLessThan(200_000);
});
