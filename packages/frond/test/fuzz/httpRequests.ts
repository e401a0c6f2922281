// Requests as bytes: right ones in many spellings, and the wrong ones that split two programs' opinions.
//
// Rule: every request knows what it says: its target and its body, or that it must not be heard. The bodies hold what
// looks like another request, to /smuggled: whoever hears that one has lost count of the bytes.

import fc from "fast-check";

/** Bounds of the front door under test, in bytes. */
export const BOUNDS = { headerBytes: 4096, urlBytes: 512, bodyBytes: 2048 } as const;

export const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/** A request with one meaning. */
export interface Good {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly framing: "none" | "length" | "chunked";
  readonly body: string;
  readonly chunks: readonly number[];
  readonly headers: readonly string[];
  readonly extension: string;
  readonly trailer: string;
  readonly absolute: boolean;
  readonly version: "1.1" | "1.0";
  /** The handler answers without reading the body. */
  readonly lazy: boolean;
}

const body = fc.oneof(
  fc.constantFrom("", SMUGGLED, `0\r\n\r\n${SMUGGLED}`, "\r\n", "{}", "x".repeat(BOUNDS.bodyBytes)),
  fc.string({ unit: fc.constantFrom("a", "\r", "\n", "0", ";", "\0", "\xff"), maxLength: 40 }),
);

export const good: fc.Arbitrary<Good> = fc
  .record({
    method: fc.constantFrom("GET", "POST", "PUT", "DELETE"),
    framing: fc.constantFrom("none", "length", "chunked"),
    body,
    chunks: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 }),
    headers: fc.array(
      fc.constantFrom(
        "Accept: */*",
        "X-Empty:",
        "x-Tab:\ta\t",
        "Connection: keep-alive",
        "Te: trailers",
        "X-Forwarded-Host: evil",
        "Transfer-Coding: chunked",
        "Content_Length: 5",
        "Expect: 100-continue",
      ),
      { maxLength: 3 },
    ),
    extension: fc.constantFrom("", ";a=b", ';a="b;c"', ";x"),
    trailer: fc.constantFrom("", "X-T: 1\r\n", "Host: other\r\n"),
    absolute: fc.boolean(),
    version: fc.constantFrom("1.1", "1.1", "1.1", "1.0"),
    lazy: fc.boolean(),
  })
  .map((one) => {
    // Chunks are HTTP/1.1's; what has no framing has no body.
    const framing = one.version === "1.0" && one.framing === "chunked" ? "length" : one.framing;
    const headers = one.version === "1.0" ? one.headers.filter((line) => !line.startsWith("Expect")) : one.headers;
    return { ...one, framing, headers, body: framing === "none" ? "" : one.body };
  });

/** The bytes (as latin1) of a request to `/good/<index>`. */
export function render(one: Good, index: number, last: boolean): string {
  const path = pathOf(one, index);
  const target = one.absolute ? `http://a.example${path}` : path;
  const close = last || one.version === "1.0" ? ["Connection: close"] : [];
  const headers = last || one.version === "1.0" ? one.headers.filter((line) => !line.startsWith("Conn")) : one.headers;
  const framing = {
    none: [],
    length: [`Content-Length: ${one.body.length}`],
    chunked: ["Transfer-Encoding: chunked"],
  }[one.framing];
  const lines = [`${one.method} ${target} HTTP/${one.version}`, "Host: a.example", ...headers, ...framing, ...close];
  const head = `${lines.join("\r\n")}\r\n\r\n`;
  return head + (one.framing === "chunked" ? chunked(one) : one.body);
}

export function pathOf(one: Good, index: number): string {
  return `/${one.lazy ? "lazy" : "good"}/${index}?q=%2e`;
}

function chunked({ body: text, chunks, extension, trailer }: Good): string {
  let out = "";
  let at = 0;
  for (const size of [...chunks, text.length]) {
    const part = text.slice(at, at + size);
    at += size;
    if (part !== "") out += `${part.length.toString(16)}${extension}\r\n${part}\r\n`;
  }
  return `${out}0\r\n${trailer}\r\n`;
}

/** A request that must not reach the app as a whole one. */
export interface Bad {
  readonly bytes: string;
  /** Where it ends is certain, so what follows may be heard. */
  readonly framed: boolean;
}

const S = SMUGGLED;
const L = SMUGGLED.length;
const post = (headers: string, rest: string, framed = false): Bad => ({
  bytes: `POST /bad HTTP/1.1\r\nHost: a.example\r\n${headers}\r\n\r\n${rest}`,
  framed,
});
const get = (line: string, headers = "Host: a.example", framed = false): Bad => ({
  bytes: `${line}\r\n${headers}\r\n\r\n`,
  framed,
});

export const BAD: Readonly<Record<string, Bad>> = {
  "length and chunked": post(`Content-Length: ${L + 5}\r\nTransfer-Encoding: chunked`, `0\r\n\r\n${S}`),
  "chunked and length": post("Transfer-Encoding: chunked\r\nContent-Length: 5", `0\r\n\r\n${S}`),
  "chunked twice": post("Transfer-Encoding: chunked, chunked", `0\r\n\r\n${S}`),
  "chunked is not the last": post("Transfer-Encoding: chunked, identity", `0\r\n\r\n${S}`),
  "chunked nearly": post("Transfer-Encoding: xchunked", `0\r\n\r\n${S}`),
  "chunked with a space": post("Transfer-Encoding : chunked", `0\r\n\r\n${S}`),
  "chunked folded": post("X: y\r\n Transfer-Encoding: chunked", `0\r\n\r\n${S}`),
  "chunked behind a control character": post("Transfer-Encoding: \x0bchunked", `0\r\n\r\n${S}`),
  "two lengths": post(`Content-Length: 0\r\nContent-Length: ${L}`, S),
  "two lengths in one": post(`Content-Length: 0, ${L}`, S),
  "a length with a sign": post(`Content-Length: +${L}`, S),
  "a length below zero": post("Content-Length: -1", S),
  "a length in hex": post("Content-Length: 0x5", S),
  "a length with a space in it": post("Content-Length: 1 0", S),
  "no length": post("Content-Length:", S),
  "a length beyond 64 bits": post("Content-Length: 99999999999999999999", S),
  "a chunk size in 0x": post("Transfer-Encoding: chunked", `0x0\r\n\r\n${S}`),
  "a chunk size below zero": post("Transfer-Encoding: chunked", `-1\r\n\r\n${S}`),
  "a chunk size behind a space": post("Transfer-Encoding: chunked", ` 0\r\n\r\n${S}`),
  "a chunk size that is none": post("Transfer-Encoding: chunked", `g\r\n\r\n${S}`),
  "a chunk size beyond 64 bits": post("Transfer-Encoding: chunked", `10000000000000000\r\n${S}`),
  "a chunk that is longer": post("Transfer-Encoding: chunked", `3\r\nabcd\r\n0\r\n\r\n${S}`),
  "a chunk without its end": post("Transfer-Encoding: chunked", `3\r\nabc0\r\n\r\n${S}`),
  "a chunk ended by LF": post("Transfer-Encoding: chunked", `3\nabc\n0\n\n${S}`),
  "chunk extensions without end": post("Transfer-Encoding: chunked", `1;${"x".repeat(20_000)}`),
  "a length behind the chunks": post("Transfer-Encoding: chunked", `0\r\nContent-Length: 5\r\n\r\n${S}`),
  "lines ended by LF": { bytes: `POST /bad HTTP/1.1\nHost: a\nContent-Length: ${L}\n\n${S}`, framed: false },
  "a bare CR": post(`X: a\rContent-Length: ${L}`, S),
  "a NUL": post(`X: a\0b\r\nContent-Length: ${L}`, S),
  "a name with a space": post(`X y: 1\r\nContent-Length: ${L}`, S),
  "a line without a colon": post(`nothing\r\nContent-Length: ${L}`, S),
  "a name that is empty": post(`: x\r\nContent-Length: ${L}`, S),
  "no host": get("GET /bad HTTP/1.1", "X: y", true),
  "two hosts": get("GET /bad HTTP/1.1", "Host: a.example\r\nhost: b.example", true),
  "a host with a path": get("GET /bad HTTP/1.1", "Host: a.example/x", true),
  "a host with a user": get("GET /bad HTTP/1.1", "Host: u@a.example", true),
  "a host with a space": get("GET /bad HTTP/1.1", "Host: a b", true),
  "a target without a slash": get("GET bad HTTP/1.1"),
  "a target with a space": get("GET /b ad HTTP/1.1"),
  "a target of another scheme": get("GET http://[/bad HTTP/1.1", undefined, true),
  "a star": get("GET * HTTP/1.1", undefined, true),
  "a long target": get(`GET /${"x".repeat(BOUNDS.urlBytes)} HTTP/1.1`, undefined, true),
  "a long header": get("GET /bad HTTP/1.1", `Host: a\r\nX: ${"x".repeat(BOUNDS.headerBytes)}`),
  "many headers": get("GET /bad HTTP/1.1", `Host: a\r\n${"a:\r\n".repeat(2000)}Host: b`),
  "a long body": post(`Content-Length: ${BOUNDS.bodyBytes + 1}`, S),
  "a long body in chunks": post("Transfer-Encoding: chunked", `801\r\n${"x".repeat(2049)}\r\n0\r\n\r\n`),
  "a tunnel": get("CONNECT a.example:80 HTTP/1.1"),
  "a method that is none": get("FOO /bad HTTP/1.1"),
  "a method in small letters": get("get /bad HTTP/1.1"),
  "HTTP/0.9": { bytes: "GET /bad\r\n", framed: false },
  "HTTP/1.2": get("GET /bad HTTP/1.2"),
  "HTTP/2": { bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", framed: false },
  "http/1.1": get("GET /bad http/1.1"),
  TLS: { bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", framed: false },
  "what is frond's own": get("GET /_frond/nothing HTTP/1.1", undefined, true),
};
