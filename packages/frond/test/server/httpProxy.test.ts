// Proxy headers: they count from those who are trusted, and from nobody else.

import { describe, expect, test } from "vitest";
import { parseTrustProxy, readForwarded } from "../../src/server/door/proxy.ts";
import { exchange, openDoor } from "./doors.ts";

const CHAIN = { "x-forwarded-for": "6.6.6.6, 9.9.9.9, 10.0.0.2" };

describe("whom a request is from", () => {
  test.each<[string, string, string | undefined]>([
    ["false", "10.0.0.1", undefined],
    ["0", "10.0.0.1", undefined],
    ["1", "10.0.0.1", "10.0.0.2"],
    ["2", "10.0.0.1", "9.9.9.9"],
    ["9", "10.0.0.1", "6.6.6.6"],
    ["true", "10.0.0.1", "6.6.6.6"],
    ["10.0.0.0/8", "10.0.0.1", "9.9.9.9"],
    ["10.0.0.1", "10.0.0.1", "10.0.0.2"],
    ["10.0.0.1, 10.0.0.2", "10.0.0.1", "9.9.9.9"],
    ["private", "192.168.1.1", "9.9.9.9"],
    ["loopback", "10.0.0.1", undefined],
    ["loopback", "127.0.0.9", "10.0.0.2"],
    ["loopback", "::1", "10.0.0.2"],
    ["fc00::/7,10.0.0.2", "fd00::5", "9.9.9.9"],
  ])("--trust-proxy %s, asked by %s: %s", (option, peer, wanted) => {
    const trust = parseTrustProxy(option);
    expect(trust && readForwarded(peer, CHAIN, trust)?.remoteAddress).toBe(wanted);
  });

  test("entries with ports are read, names end the chain, no header leaves the peer", () => {
    const trust = parseTrustProxy("true")!;
    const from = (list: string) => readForwarded("10.0.0.1", { "x-forwarded-for": list }, trust)?.remoteAddress;
    expect(from("1.2.3.4:5678")).toBe("1.2.3.4");
    expect(from("[2001:db8::1]:443")).toBe("2001:db8::1");
    expect(from("6.6.6.6, unknown, 9.9.9.9")).toBe("9.9.9.9");
    expect(from("_hidden")).toBe("10.0.0.1");
    expect(from("")).toBe("10.0.0.1");
  });

  test("protocol and host come from the proxy that named the client, not from the client", () => {
    const trust = parseTrustProxy("1")!;
    const claims = {
      "x-forwarded-for": "6.6.6.6, 9.9.9.9",
      "x-forwarded-proto": "http, https",
      "x-forwarded-host": "evil.example, good.example",
    };
    expect(readForwarded("10.0.0.1", claims, trust)).toEqual({
      remoteAddress: "9.9.9.9",
      proto: "https",
      host: "good.example",
    });
    const overwritten = { ...claims, "x-forwarded-proto": "HTTPS", "x-forwarded-host": "one.example" };
    expect(readForwarded("10.0.0.1", overwritten, trust)).toMatchObject({ proto: "https", host: "one.example" });
    expect(readForwarded("10.0.0.1", { "x-forwarded-proto": "gopher" }, trust)).toEqual({ remoteAddress: "10.0.0.1" });
  });

  test.each([
    "maybe",
    "10.0.0.0/33",
    "10.0.0.0/",
    "::1/129",
    "10.0.0.1/8/8",
    "localhost",
    "loopback,",
    "-1",
    "constructor",
    "__proto__",
  ])("--trust-proxy %s is refused and says what would do", (option) => {
    expect(() => parseTrustProxy(option)).toThrow(/is not an address, a range .*loopback/);
  });
});

describe("the front door behind a proxy", () => {
  const HEADERS = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n";
  const tell = (request: Request, info: { remoteAddress: string }) =>
    Response.json([request.url, info.remoteAddress, request.headers.get("host")]);
  const ask = async (port: number, headers: string): Promise<unknown> => {
    const text = await exchange(port, `GET /a?b HTTP/1.1\r\nHost: inside:8080\r\nConnection: close\r\n${headers}\r\n`);
    const [head, body] = text.split("\r\n\r\n");
    return head?.startsWith("HTTP/1.1 200") ? JSON.parse(body as string) : Number(head?.slice(9, 12));
  };

  test("believes nobody by default", async () => {
    const { port } = await openDoor(tell);
    expect(await ask(port, HEADERS)).toEqual(["http://inside:8080/a?b", "127.0.0.1", "inside:8080"]);
  });

  test("shapes URL and address as a trusted proxy states them", async () => {
    const { port } = await openDoor(tell, { trustProxy: parseTrustProxy("loopback") });
    expect(await ask(port, HEADERS)).toEqual(["https://shop.example/a?b", "9.9.9.9", "inside:8080"]);
    expect(await ask(port, "X-Forwarded-Proto: https\r\n")).toEqual([
      "https://inside:8080/a?b",
      "127.0.0.1",
      "inside:8080",
    ]);
    expect(await ask(port, "")).toEqual(["http://inside:8080/a?b", "127.0.0.1", "inside:8080"]);
  });

  test.each(["shop.example/evil?x=", "user@shop.example", "shop.example:99999", "a b", "[::1"])(
    "a forwarded host %s is 400",
    async (host) => {
      const { port, front } = await openDoor(tell, { trustProxy: parseTrustProxy("loopback") });
      expect(await ask(port, `X-Forwarded-Host: ${host}\r\n`)).toBe(400);
      await expect.poll(() => front.openRequests).toBe(0);
    },
  );
});
