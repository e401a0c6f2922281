// What an operator sets is taken as it stands or refused by name.

import { expect, test } from "vitest";
import { DEFAULT_MAX_BYTES, HIGHEST_MAX_BYTES, readSettings } from "../src/settings.ts";

test("without settings mail comes in on loopback for all domains", () => {
  expect(readSettings({})).toEqual({
    smtp: { host: "127.0.0.1", port: 2525 },
    domains: undefined,
    maxBytes: DEFAULT_MAX_BYTES,
  });
});

test("settings are read", () => {
  expect(
    readSettings({ SMTP_LISTEN: "[::1]:0", MAIL_DOMAINS: " Example.ORG,b.example", MAIL_MAX_BYTES: "2048" }),
  ).toEqual({
    smtp: { host: "::1", port: 0 },
    domains: new Set(["example.org", "b.example"]),
    maxBytes: 2048,
  });
  expect(readSettings({ MAIL_MAX_BYTES: String(HIGHEST_MAX_BYTES) }).maxBytes).toBe(HIGHEST_MAX_BYTES);
  expect(readSettings({ MAIL_DOMAINS: "a.example,*" }).domains).toBeUndefined();
});

test.each([
  ["SMTP_LISTEN", "2525"],
  ["SMTP_LISTEN", "localhost:"],
  ["SMTP_LISTEN", "localhost:65536"],
  ["SMTP_LISTEN", "::1:25"],
  ["MAIL_DOMAINS", ""],
  ["MAIL_DOMAINS", "a.example,,b.example"],
  ["MAIL_DOMAINS", "user@a.example"],
  ["MAIL_DOMAINS", "*.example"],
  ["MAIL_MAX_BYTES", "10MB"],
  ["MAIL_MAX_BYTES", "0"],
  ["MAIL_MAX_BYTES", String(HIGHEST_MAX_BYTES + 1)],
])("%s=%s is refused by name", (variable, value) => {
  expect(() => readSettings({ [variable]: value })).toThrow(variable);
});
