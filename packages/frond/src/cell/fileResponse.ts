// A file as the answer to a request: whole, in part, or not at all because the client has it.
//
// Rule (RFC 9110): the hash is the strong ETag. A Range of one part is served as 206; one that lies behind the end is 416; what
// is no such range, or several parts, is answered by the whole, as a server may.

import type { FileRow } from "../store/fileRows.ts";
import type { FileBody, FileRange } from "./fileBody.ts";

/** Answers with a file. `open` reads a part of it. */
export async function fileResponse(
  { hash, size, type }: FileRow,
  request: Request | undefined,
  headers: Headers,
  open: (range: FileRange) => Promise<FileBody | undefined>,
): Promise<Response> {
  const etag = `"${hash}"`;
  state(headers, "content-type", type ?? "application/octet-stream");
  state(headers, "etag", etag);
  state(headers, "accept-ranges", "bytes");
  if (names(request?.headers.get("if-none-match"), etag)) return new Response(null, { status: 304, headers });
  const range = rangeOf(request, etag, size);
  if (range === "behind") {
    headers.set("content-range", `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  const { from = 0, to = size } = range ?? {};
  headers.set("content-length", String(to - from));
  if (range !== undefined) headers.set("content-range", `bytes ${from}-${to - 1}/${size}`);
  const status = range === undefined ? 200 : 206;
  if (request?.method === "HEAD") return new Response(null, { status, headers });
  const body = await open({ from, to });
  return body === undefined ? notFound() : new Response(body.stream, { status, headers });
}

/** The answer where a cell has no such file. */
export function notFound(): Response {
  return new Response("there is no such file here\n", { status: 404 });
}

function state(headers: Headers, name: string, value: string): void {
  if (!headers.has(name)) headers.set(name, value);
}

function names(list: string | null | undefined, etag: string): boolean {
  const tags = list?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

/** The part that a request asks for; undefined: the whole. */
function rangeOf(request: Request | undefined, etag: string, size: number): Required<FileRange> | "behind" | undefined {
  if (request === undefined || (request.method !== "GET" && request.method !== "HEAD")) return undefined;
  const condition = request.headers.get("if-range");
  if (condition !== null && condition !== etag) return undefined;
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.headers.get("range") ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "")
    return Number(last) === 0 || size === 0 ? "behind" : { from: Math.max(0, size - Number(last)), to: size };
  if (last !== "" && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return "behind";
  return { from: Number(first), to: last === "" ? size : Math.min(size, Number(last) + 1) };
}
