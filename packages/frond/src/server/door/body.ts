// The bound on request bodies that do not state their length, and the polite end of a connection that sends too much.
//
// Rule: a body is counted as it arrives and never held by frond; at the byte beyond the bound whoever reads it gets an
// error, and nothing more reaches them. The sender is answered while it still sends, so the rest is read and thrown
// away for a moment: closing at once would reset the connection and destroy the answer on its way.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { FrondError } from "../../errors.ts";

/** Counts the body of `incoming`; beyond `limit` bytes its readers see BODY_TOO_LARGE and `exceeded` is called, once. */
export function boundBody(incoming: IncomingMessage, limit: number, exceeded: () => void): void {
  // `push` is where node's parser puts what arrived; a "data" listener instead would start the flow before any reader.
  const push = incoming.push.bind(incoming);
  let bytes = incoming.readableLength;
  incoming.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk instanceof Uint8Array) bytes += chunk.byteLength;
    if (bytes <= limit) return push(chunk, encoding);
    exceeded();
    // The stream ends for its readers, and node's parser gives it nothing more; the socket lives on to carry the answer.
    incoming._destroy = (error, done) => done(incoming.listenerCount("error") > 0 ? error : null);
    incoming.destroy(new FrondError("BODY_TOO_LARGE", `the request body is larger than ${limit} bytes`));
    return true;
  };
}

/** Makes the end of `socket` lenient: after the last answer it reads on for up to `lingerMs`, then closes. */
export function lingerBeforeClose(socket: Socket, lingerMs: number): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  };
}
