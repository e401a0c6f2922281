// The envelope rule, case by case, and over the whole corpus against a parser of other hands.

import addressparser from "nodemailer/lib/addressparser";
import PostalMime from "postal-mime";
import { describe, expect, test } from "vitest";
import { corpusMessage, corpusNames } from "../src/demo/corpus.ts";
import { addressesOf, usableAddress } from "../src/addresses.ts";
import { envelopeOf, headerFields } from "../src/demo/recipients.ts";

function envelope(...lines: string[]): { sender: string; recipients: readonly string[] } {
  return envelopeOf(Buffer.from(`${lines.join("\n")}\n\nTo: body@example.org\n`, "latin1"));
}

describe("the envelope rule", () => {
  test("takes all usable addresses of all To, Cc and Bcc fields, in order, in lower case, once", () => {
    const { recipients } = envelope(
      "Cc: C@Example.org",
      "TO: a@example.org, B@example.ORG",
      "bcc: d@example.org",
      "To: A@EXAMPLE.org, e@example.org",
      "Reply-To: no@example.org",
    );
    expect(recipients).toEqual(["c@example.org", "a@example.org", "b@example.org", "d@example.org", "e@example.org"]);
  });

  test("turns to the topmost Delivered-To only where the others name nobody", () => {
    const delivered = ["Delivered-To: last@example.org", "Delivered-To: first@example.org"];
    expect(envelope(...delivered, "To: undisclosed-recipients:;").recipients).toEqual(["last@example.org"]);
    expect(envelope(...delivered).recipients).toEqual(["last@example.org"]);
    expect(envelope(...delivered, "To: a@example.org").recipients).toEqual(["a@example.org"]);
    expect(envelope("Subject: nobody").recipients).toEqual([]);
  });

  test("takes the sender from Return-Path, then From, then nobody", () => {
    expect(envelope("From: f@example.org", "Return-Path: <R@example.org>").sender).toBe("r@example.org");
    expect(envelope("From: F <f@example.org>", "Return-Path: <>").sender).toBe("f@example.org");
    expect(envelope("To: a@example.org").sender).toBe("");
  });

  test("unfolds lines and reads no field of the body", () => {
    expect(envelope("To: a@example.org,", "\tb@example.org,", " c@example.org").recipients).toEqual([
      "a@example.org",
      "b@example.org",
      "c@example.org",
    ]);
    expect(headerFields(Buffer.from("A: 1\r\n  2\r\n\r\nB: 3\r\n"))).toEqual([{ name: "a", text: " 1  2" }]);
  });

  test.each([
    ["a display name in quotes that holds an address", `"'x@no.example', y" <a@example.org>`, ["a@example.org"]],
    ["a display name without quotes", "Ann Example <a@example.org>", ["a@example.org"]],
    ["comments, nested ones too", "a@example.org ((Ann) (x@no.example))", ["a@example.org"]],
    ["an escaped quote in a name", String.raw`"a \" , b" <a@example.org>`, ["a@example.org"]],
    ["semicolons as separators", "a@example.org; b@example.org", ["a@example.org", "b@example.org"]],
    [
      "a group",
      "Team: a@example.org, B <b@example.org>;, c@example.org",
      ["a@example.org", "b@example.org", "c@example.org"],
    ],
    ["an empty group", "undisclosed-recipients:;", []],
    ["a source route", "<@relay.example,@other.example:a@example.org>", ["a@example.org"]],
    ["empty angles before an address", "<> <a@example.org>", ["a@example.org"]],
    ["angles that are not closed", "<a@example.org", ["a@example.org"]],
    [
      "quotes that are not closed",
      'a@example.org, "b@example.org, c@example.org',
      ["a@example.org", '"b@example.org, c@example.org'],
    ],
    ["nothing", " , ;", []],
  ])("finds the addresses in %s", (_what, field, addresses) => {
    expect(addressesOf(field)).toEqual(addresses);
  });

  test.each([
    ["a@example.org", "a@example.org"],
    ["mb/vipul@Example.org", "mb/vipul@example.org"],
    ["e$+!x@a-b.example", "e$+!x@a-b.example"],
    ["root@localhost", "root@localhost"],
    ['"a.b"@example.org', "a.b@example.org"],
    ['"a b"@example.org', undefined],
    ["no-host", undefined],
    ["@example.org", undefined],
    ["a@", undefined],
    ["a b@example.org", undefined],
    ["a@b@example.org", undefined],
    [".a@example.org", undefined],
    ["a..b@example.org", undefined],
    ["a.@example.org", undefined],
    ["a@example.org.", undefined],
    ["a@-example.org", undefined],
    ["a@exa_mple.org", undefined],
    ["a@[127.0.0.1]", undefined],
    ["\u00e4@example.org", undefined],
    [`${"a".repeat(250)}@b.c`, undefined],
  ])("judges %s", (written, usable) => {
    expect(usableAddress(written)).toBe(usable);
  });
});

// What the other parser finds and the rule passes over, sorted into the kinds that README.md explains. The kinds are told
// apart by themselves, without the rule's own idea of a usable address.
const KINDS: readonly (readonly [string, (address: string, fields: readonly string[]) => boolean])[] = [
  [
    "last word of <Undisclosed Recipients@host>",
    (address, fields) =>
      address.startsWith("recipients@") && fields.some((field) => /<Undisclosed Recipients@/i.test(field)),
  ],
  ["no local part", (address) => /^(?:"")?@/.test(address)],
  ["dot first, last or doubled", (address) => /^\.|\.@|\.$|\.\./.test(address)],
  ["second @", (address) => address.split("@").length > 2],
  ["sign or letter that no plain address has", (address) => /[:;[\]"\s]|[^ -~]/.test(address)],
];

test("over the whole corpus the rule and another parser find the same, but for the kinds in the README", async () => {
  const extra = new Map<string, number>();
  const missing: string[] = [];
  let compared = 0;
  let onlyDeliveredTo = 0;
  let nobody = 0;
  for (const name of corpusNames()) {
    const raw = corpusMessage(name);
    // Header, unfolding and addresses, all by other code than the rule's.
    const { headers } = await PostalMime.parse(raw.subarray(0, endOfHeader(raw)));
    const fields = headers.filter(({ key }) => key === "to" || key === "cc" || key === "bcc").map(({ value }) => value);
    const flat = fields.flatMap((field) =>
      addressparser(field, { flatten: true }).map(({ address }) => address.toLowerCase()),
    );
    const theirs = new Set(flat.filter((address) => address.includes("@")));
    const { recipients } = envelopeOf(raw);
    const named = headerFields(raw).filter((field) => ["to", "cc", "bcc"].includes(field.name));
    const ours = new Set(named.flatMap(({ text }) => addressesOf(text)).map(usableAddress));
    ours.delete(undefined);
    for (const address of ours) if (!theirs.has(address as string)) missing.push(`${name} ${address}`);
    for (const address of theirs) {
      if (ours.has(address)) compared++;
      else {
        const [kind] = KINDS.find(([, is]) => is(address, fields)) ?? [`unexplained: ${name} ${address}`];
        extra.set(kind, (extra.get(kind) ?? 0) + 1);
      }
    }
    if (recipients.length === 0) nobody++;
    else if (ours.size === 0) onlyDeliveredTo++;
    else expect(recipients).toEqual([...ours]);
  }
  expect(missing).toEqual([]);
  // These numbers stand in README.md.
  expect(Object.fromEntries(extra)).toEqual({
    "last word of <Undisclosed Recipients@host>": 28,
    "sign or letter that no plain address has": 18,
    "dot first, last or doubled": 7,
    "no local part": 2,
    "second @": 2,
  });
  expect({ compared, onlyDeliveredTo, nobody }).toEqual({ compared: 13_456, onlyDeliveredTo: 96, nobody: 180 });
});

function endOfHeader(raw: Buffer): number {
  const ends = [raw.indexOf("\n\n"), raw.indexOf("\n\r\n")].filter((at) => at !== -1);
  return ends.length === 0 ? raw.length : Math.min(...ends) + 2;
}
