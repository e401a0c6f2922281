// Several requests in one packet, one of them broken: each answer stands for its own request.

import { expect, test } from "vitest";
import { exchange, gate, openDoor, rawClient } from "./doors.ts";

const HEAD = "Host: a\r\n";
const GET = `GET /first HTTP/1.1\r\n${HEAD}\r\n`;

function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status as string);
}

test("a request in work is answered before the broken bytes behind it are", async () => {
  const heard: string[] = [];
  const hold = gate();
  const { port } = await openDoor(async (request) => {
    heard.push(new URL(request.url).pathname);
    await hold.opened;
    return new Response("done");
  });
  const client = await rawClient(port);
  client.send(`${GET}GET /second HTTP/1.1\r\n${HEAD}\r\nnonsense\r\n\r\n`);
  setImmediate(() => hold.open());
  const text = await client.closed();
  expect(statuses(text)).toEqual(["200", "200", "400"]);
  expect(text).toContain("not a well-formed HTTP/1.1 request");
  expect(heard).toEqual(["/first", "/second"]);
});

test("a request whose body is broken while it waits is refused in its turn and never heard", async () => {
  const heard: string[] = [];
  const { port } = await openDoor(async (request) => {
    heard.push(`${new URL(request.url).pathname} ${await request.text()}`);
    return new Response("done");
  });
  const chunked = `POST /second HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
  const text = await exchange(port, `${GET}${chunked}2\r\nab\r\nzz\r\n`);
  expect(statuses(text)).toEqual(["200", "400"]);
  expect(heard).toEqual(["/first "]);
});

test("a body in chunks that came whole while its request waited is bounded like any other", async () => {
  const heard: string[] = [];
  const handler = async (request: Request): Promise<Response> => {
    heard.push(await request.text());
    return new Response("done");
  };
  const { port } = await openDoor(handler, { limits: { bodyBytes: 100 } });
  const chunked = `POST /second HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
  const text = await exchange(port, `${GET}${chunked}65\r\n${"x".repeat(101)}\r\n0\r\n\r\n`);
  expect(statuses(text)).toEqual(["200", "413"]);
  expect(heard).toEqual([""]);
});

test("a request without a host is refused in the form of all refusals", async () => {
  const { port } = await openDoor(() => new Response("done"));
  const text = await exchange(port, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  expect(statuses(text)).toEqual(["400"]);
  expect(text).toContain('{"error":{"code":"BAD_HOST"');
  expect(await exchange(port, "GET / HTTP/1.0\r\n\r\n")).toContain("done");
});

test("an expectation that nobody knows is passed over", async () => {
  const { port } = await openDoor(() => new Response("done"));
  const text = await exchange(port, `GET / HTTP/1.1\r\n${HEAD}Expect: wonders\r\nConnection: close\r\n\r\n`);
  expect(statuses(text)).toEqual(["200"]);
});

test("a tunnel is refused behind the request before it", async () => {
  const { port } = await openDoor(async () => new Response("done"));
  const text = await exchange(port, `${GET}CONNECT a:80 HTTP/1.1\r\n${HEAD}\r\n`);
  expect(statuses(text)).toEqual(["200", "400"]);
});
