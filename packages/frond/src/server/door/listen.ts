// Where a server listens: whether it could, and why it cannot.
//
// Rule: an address that cannot be had is told in words that say what to do, before anything was made for the node.

import { createServer } from "node:net";
import { FrondError } from "../../errors.ts";

/** Throws LISTEN_FAILED when nobody could listen there now. */
export function checkListen({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

/** LISTEN_FAILED, with what to do about it. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): FrondError {
  const why: Record<string, string> = {
    EADDRINUSE: "another program listens there; stop it or choose another port with --listen HOST:PORT",
    EACCES: "this user may not listen there; ports below 1024 belong to root",
    EADDRNOTAVAIL: "this machine does not have that address",
    ENOTFOUND: "no such host is known",
  };
  const reason = why[error.code ?? ""] ?? error.message;
  return new FrondError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${reason}`, { cause: error });
}
