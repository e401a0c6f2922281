// Options that several commands share, and the checks of their values.
//
// Rule: a value that means nothing is an error that names what would do, with the nearest right word; no value is
// corrected silently.

import { InvalidArgumentError, Option } from "commander";
import { isIP } from "node:net";
import { DURABILITIES } from "../cell/watermarks.ts";
import { FrondError } from "../errors.ts";
import { MAX_SYNC_MS, MIN_SYNC_MS } from "../limits.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../server/logLine.ts";
import { parseTrustProxy } from "../server/proxy.ts";
import type { TrustProxy } from "../server/proxy.ts";
import { nearest } from "../nearest.ts";

/** A parser that takes one of `words`. */
export function oneOf<T extends string>(words: readonly T[]): (value: string) => T {
  return (value) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    const meant = nearest(value, words);
    const all = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
    throw new InvalidArgumentError(`It can be ${all}.${meant ? ` (Did you mean ${meant}?)` : ""}`);
  };
}

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export const DEFAULT_LISTEN: Listen = { host: "127.0.0.1", port: 8080 };

/** `HOST:PORT`, `[IPv6]:PORT` or `PORT`. Throws BAD_OPTION. */
export function parseListen(value: string): Listen {
  const [, bracketed, plain, digits] = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(value) ?? [];
  const host = bracketed ?? plain ?? DEFAULT_LISTEN.host;
  const port = Number(digits);
  const hint = host === "*" || host === "" ? " (every address is 0.0.0.0, or [::])" : "";
  const wrongHost = bracketed === undefined ? !/^[A-Za-z0-9.-]+$/.test(host) : isIP(bracketed) !== 6;
  if (digits === undefined || port > 65_535 || wrongHost) {
    throw new FrondError(
      "BAD_OPTION",
      `${JSON.stringify(value)} is not HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080, nor a PORT up to 65535${hint}`,
    );
  }
  return { host, port };
}

/** Where to listen when no --listen is given: PORT changes the port, HOST the address; loopback unless HOST says more. */
export function listenFromEnvironment(environment: NodeJS.ProcessEnv): Listen {
  const port = environment["PORT"] || String(DEFAULT_LISTEN.port);
  const host = environment["HOST"] || DEFAULT_LISTEN.host;
  try {
    return parseListen(`${isIP(host) === 6 ? `[${host}]` : host}:${port}`);
  } catch {
    throw new FrondError(
      "BAD_OPTION",
      `the environment says HOST=${host} PORT=${port}, which is no address to listen on`,
    );
  }
}

/** Turns a FrondError of a parser into what the command line reports for that option. */
function checked<T>(parse: (value: string) => T): (value: string) => T {
  return (value) => {
    try {
      return parse(value);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

export const listenOption = (): Option =>
  new Option("--listen <host:port>", "where to answer HTTP (default 127.0.0.1:8080; see below)").argParser(
    checked(parseListen),
  );

export const allowHostOption = (): Option =>
  new Option(
    "--allow-host <name>",
    "a further name by which it may be asked for, as app.test; may be repeated",
  ).argParser((value: string, before: readonly string[] | undefined) => [
    ...(before ?? []),
    checked(parseHostName)(value),
  ]);

/** A name as the Host header has it, without a port. Throws BAD_OPTION. */
export function parseHostName(value: string): string {
  const url = `http://${value}/`;
  const name = URL.canParse(url) ? new URL(url).hostname : "";
  if (name !== "" && name === value.toLowerCase()) return name;
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not the name of a host, as in app.test or my-laptop`);
}

export const durabilityOption = (): Option =>
  new Option(
    "--durability <level>",
    "where a commit must be before anyone hears of it: memory, disk or bucket; classes may set their own",
  )
    .default("disk")
    .argParser(oneOf(DURABILITIES));

export const maxSyncOption = (): Option =>
  new Option("--max-sync-ms <ms>", "how long code may hold the event loop before it is ended; 0: for ever")
    .default(MAX_SYNC_MS)
    .argParser(checked(parseMaxSync));

/** A whole number of ms, from MIN_SYNC_MS; 0 = no limit. Throws BAD_OPTION. */
export function parseMaxSync(value: string): number {
  const ms = /^\d{1,9}$/.test(value) ? Number(value) : -1;
  if (ms === 0 || ms >= MIN_SYNC_MS) return ms;
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not 0, nor a whole number of ms from ${MIN_SYNC_MS}`);
}

export const trustProxyOption = (): Option =>
  new Option("--trust-proxy <who>", "whose X-Forwarded-* headers to believe: true, a count of proxies, or addresses")
    .default(undefined, "nobody")
    .argParser<TrustProxy>(checked(parseTrustProxy));

export const logLevelOption = (fallback: string): Option =>
  new Option("--log-level <level>", LOG_LEVELS.join(", "))
    .env("FROND_LOG")
    .default(fallback)
    .argParser(oneOf(LOG_LEVELS));

export const logFormatOption = (): Option =>
  new Option("--log-format <format>", "text, json, or auto: text on a terminal")
    .default("auto")
    .argParser(oneOf(LOG_FORMATS));

export const dataOption = (description: string): Option => new Option("--data <dir>", description);

export const jsonOption = (): Option => new Option("--json", "print JSON");
