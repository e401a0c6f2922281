// By which names a server may be asked for: the list itself, and the front door that keeps to it.

import { expect, test } from "vitest";
import { allowHosts } from "../../src/server/door/hostNames.ts";
import { openDoor, rawClient } from "./doors.ts";

test("IP addresses, localhost, names below it and listed names are answered, and nothing else", () => {
  const allows = allowHosts(["App.test", "my-laptop", ""]);
  const answered = [
    undefined,
    "localhost",
    "LocalHost:8080",
    "localhost.",
    "shop.localhost:1",
    "a.b.localhost.",
    "127.0.0.1",
    "127.0.0.1:8080",
    "192.168.1.7:80",
    "[::1]",
    "[::1]:8080",
    "[fe80::1]:80",
    "app.test",
    "APP.TEST.:99",
    "my-laptop:8080",
  ];
  for (const host of answered) expect(allows(host), String(host)).toBe(true);
  const refused = [
    "",
    ":8080",
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.evil.example",
    "1.2.3",
    "app.test.evil.example",
    "x.app.test",
    "xapp.test",
    "app.test@evil.example",
    "evil.example#.localhost",
    "evil.example:80.localhost",
    "[evil.example]",
    "[127.0.0.1]",
    "[]",
    "::1",
    "localhost:80:80",
  ];
  for (const host of refused) expect(allows(host), host).toBe(false);
});

test("the front door refuses other names before the app sees the request, and for WebSockets too", async () => {
  let seen = 0;
  const handler = (): Response => {
    seen += 1;
    return new Response("answered");
  };
  const { port, log } = await openDoor(handler, { allowsHost: allowHosts([]) });
  const ask = async (host: string, more = ""): Promise<string> => {
    const client = await rawClient(port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`);
    return client.closed();
  };
  expect(await ask(`localhost:${port}`)).toContain("answered");
  expect(seen).toBe(1);
  for (const host of ["evil.example", `evil.example:${port}`, `localhost.evil.example:${port}`]) {
    expect(await ask(host)).toMatch(/^HTTP\/1\.1 403 .*"HOST_NOT_ALLOWED".*--allow-host/s);
    const upgrade =
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    expect(await ask(host, upgrade)).not.toContain("answered");
  }
  expect(seen).toBe(1);
  expect(log).toMatchObject([{ level: 40, msg: "requests were refused: HOST_NOT_ALLOWED" }]);
});
