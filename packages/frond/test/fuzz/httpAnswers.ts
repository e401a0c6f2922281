// What a front door sent back, read strictly: one whole answer after the other.
//
// Rule: anything that is not a status line, headers and a body of the stated length is an error, wherever it stands; only
// the end may be cut off, as when a connection is closed.

export interface ParsedAnswers {
  /** Status of every answer that has begun. */
  readonly statuses: readonly number[];
  /** The JSON of every whole answer. */
  readonly bodies: readonly Record<string, unknown>[];
}

/** Reads `text` (latin1). Throws for bytes that are no answer. */
export function parseAnswers(text: string): ParsedAnswers {
  const statuses: number[] = [];
  const bodies: Record<string, unknown>[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end === -1) {
      if (!"HTTP/1.1 ".startsWith(text.slice(at, at + 9))) throw new Error(`no answer: ${text.slice(at, at + 80)}`);
      break;
    }
    const [line = "", ...headers] = text.slice(at, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]*$/.exec(line)?.[1]);
    if (!(status >= 100) || !headers.every((header) => /^[!-9;-~]+: ?[ -~]*$/.test(header))) {
      throw new Error(`no answer: ${text.slice(at, end)}`);
    }
    at = end + 4;
    if (status === 100) continue;
    statuses.push(status);
    const length = Number(headers.find((header) => /^content-length:/i.test(header))?.slice(15));
    if (!(length >= 0)) throw new Error(`an answer without its length: ${headers.join("; ")}`);
    if (at + length > text.length) break;
    bodies.push(JSON.parse(text.slice(at, at + length)) as Record<string, unknown>);
    at += length;
  }
  return { statuses, bodies };
}
