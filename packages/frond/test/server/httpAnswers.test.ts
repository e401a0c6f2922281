// What a client gets for the Responses and streams that a handler returns: framing, lengths, cancellation, cut connections.

import { describe, expect, test } from "vitest";
import { exchange, gate, openDoor, rawClient } from "./doors.ts";

const CLOSE = "Host: a.example\r\nConnection: close\r\n\r\n";

describe("answers", () => {
  test("JSON leaves in one write with its length", async () => {
    const { port } = await openDoor(() => Response.json({ hello: "wörld" }));
    const client = await rawClient(port);
    const first = new Promise<string>((resolve) => client.socket.once("data", (chunk) => resolve(String(chunk))));
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    const text = await first;
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toMatch(/\r\ncontent-length: 18\r\n/i);
    expect(text).toMatch(/\r\n\r\n\{"hello":"w.+rld"\}$/);
  });

  test("a handler sees method, URL, headers, body and the client's address", async () => {
    const { url } = await openDoor(async (request, info) =>
      Response.json([
        request.method,
        request.url,
        request.headers.get("x-a"),
        await request.json(),
        info.remoteAddress,
      ]),
    );
    const answer = await fetch(`${url}/p/%20q?x=1`, { method: "PUT", body: '{"a":[1]}', headers: { "x-a": "b" } });
    expect(await answer.json()).toEqual(["PUT", `${url}/p/%20q?x=1`, "b", { a: [1] }, "127.0.0.1"]);
  });

  test.each<[string, () => Response, RegExp]>([
    ["text", () => new Response("é"), /content-type: text\/plain;charset=UTF-8\r\ncontent-length: 2\r\n/],
    ["no body", () => new Response(null, { status: 201 }), /^HTTP\/1\.1 201 .*content-length: 0\r\n/is],
    ["bytes", () => new Response(new Uint8Array([65, 66])), /content-length: 2\r\n.*\r\n\r\nAB$/s],
    [
      "a blob",
      () => new Response(new Blob(["abc"], { type: "x/y" })),
      /content-length: 3\r\ncontent-type: x\/y\r\n.*abc$/s,
    ],
    ["a form", () => new Response(new URLSearchParams({ a: "b" })), /x-www-form-urlencoded.*a=b/is],
    [
      "a redirect",
      () => Response.redirect("http://a.example/x", 303),
      /^HTTP\/1\.1 303 .*location: http:\/\/a.example\/x/s,
    ],
    [
      "a length that is wrong",
      () => new Response("abcd", { headers: { "Content-Length": "2" } }),
      /content-length: 4\r\n.*abcd$/s,
    ],
    [
      "a foreign framing",
      () => new Response("abcd", { headers: { "Transfer-Encoding": "gzip", "Keep-Alive": "x" } }),
      /content-length: 4\r\n.*\r\n\r\nabcd$/s,
    ],
  ])("%s", async (_name, make, wanted) => {
    const { port } = await openDoor(make);
    const text = await exchange(port, `GET / HTTP/1.1\r\n${CLOSE}`);
    expect(text).toMatch(wanted);
    expect(text).not.toMatch(/transfer-encoding: gzip|keep-alive: x/i);
  });

  test("several cookies stay several headers, also after a change of headers", async () => {
    const { url } = await openDoor(() => {
      const response = new Response("x", { headers: [["set-cookie", "a=1"]] });
      response.headers.append("set-cookie", "b=2");
      return response;
    });
    expect((await fetch(url)).headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  test("a Response of the platform's own class is written too", async () => {
    const { url } = await openDoor(() => fetch("data:text/plain,from%20elsewhere"));
    expect(await (await fetch(url)).text()).toBe("from elsewhere");
  });

  test("HEAD, 204 and 304 have no body, and the connection goes on", async () => {
    const cancelled = gate();
    const { port } = await openDoor((request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/text") return new Response("twelve bytes");
      if (pathname === "/204") return new Response("not allowed", { status: 204, headers: { "content-length": "11" } });
      if (pathname === "/304") return new Response("not sent", { status: 304, headers: { etag: '"1"' } });
      const body = new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(9)), cancel: () => cancelled.open() });
      return new Response(body, { headers: { "content-length": "1000000" } });
    });
    const client = await rawClient(port);
    client.send("HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until(/content-length: 12\r\n/);
    client.send("GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until(/304 Not Modified[^]*\r\n\r\n/);
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const text = await client.closed();
    const [head, none, same, stream, rest] = text.split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 200/);
    expect(none).toMatch(/^HTTP\/1\.1 204/);
    expect(none).not.toMatch(/content-length/i);
    expect(same).toMatch(/^HTTP\/1\.1 304[^]*etag: "1"/);
    expect(stream).toMatch(/^HTTP\/1\.1 200[^]*content-length: 1000000/);
    expect(rest).toBe("");
    await cancelled.opened;
  });
});

describe("streams", () => {
  test("each chunk leaves when it is there", async () => {
    const next = gate();
    const { url } = await openDoor(() => {
      const chunks = async function* () {
        yield Buffer.from("one");
        await next.opened;
        yield Buffer.from("two");
      };
      return new Response(ReadableStream.from(chunks()) as ReadableStream<Uint8Array>);
    });
    const reader = (await fetch(url)).body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("one");
    next.open();
    expect((await reader.read()).value).toBe("two");
    expect((await reader.read()).done).toBe(true);
  });

  test("the headers of a stream that has nothing yet leave at once", async () => {
    const { url } = await openDoor(() => new Response(new ReadableStream({}), { headers: { "x-now": "1" } }));
    const aborter = new AbortController();
    expect((await fetch(url, { signal: aborter.signal })).headers.get("x-now")).toBe("1");
    aborter.abort();
  });

  test("a client that goes cancels the body and aborts the request's signal", async () => {
    const cancelled = gate();
    const aborted = gate();
    const { url, front } = await openDoor((request) => {
      request.signal.addEventListener("abort", () => aborted.open());
      return new Response(
        new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(65_536)), cancel: () => cancelled.open() }),
      );
    });
    const aborter = new AbortController();
    await (await fetch(url, { signal: aborter.signal })).body!.getReader().read();
    expect(front.openRequests).toBe(1);
    aborter.abort();
    await Promise.all([cancelled.opened, aborted.opened]);
    await expect.poll(() => front.openRequests).toBe(0);
  });

  test("a body that fails cuts the connection, and the log says why", async () => {
    const begun = gate();
    const { url, log } = await openDoor(() => {
      const chunks = async function* () {
        yield Buffer.from("begun");
        await begun.opened;
        throw new Error("the tape tore");
      };
      return new Response(ReadableStream.from(chunks()) as ReadableStream<Uint8Array>);
    });
    const answer = await fetch(`${url}/tape?token=1`);
    begun.open();
    await expect(answer.text()).rejects.toThrow("terminated");
    expect(log).toMatchObject([{ level: 50, path: "/tape", err: { message: "the tape tore" } }]);
  });

  test("a body longer than the length that the app stated never shifts the connection", async () => {
    const { port, log } = await openDoor(() => {
      const body = ReadableStream.from([Buffer.from("12345")]) as ReadableStream<Uint8Array>;
      return new Response(body, { headers: { "content-length": "3" } });
    });
    const text = await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(text).not.toContain("45");
    expect(log).toMatchObject([{ err: { code: "ERR_HTTP_CONTENT_LENGTH_MISMATCH" } }]);
  });
});
