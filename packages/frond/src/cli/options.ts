// Options that several commands share, and the checks of their values.
//
// Rule: a value that means nothing is an error that names what would do, with the nearest right word; no value is
// corrected silently.

import { InvalidArgumentError, Option } from "commander";
import { isIP } from "node:net";
import path from "node:path";
import { DURABILITIES } from "../cell/watermarks.ts";
import { FrondError } from "../errors.ts";
import { type Encryption, parseBucketUrl } from "../bucket/open.ts";
import {
  LEASE_TTL_MS,
  MAX_RETENTION_MS,
  MAX_SYNC_MS,
  MIN_RETENTION_MS,
  MIN_SYNC_MS,
  MIN_TTL_MS,
  RETENTION_MS,
} from "../limits.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../server/logLine.ts";
import { parseTrustProxy } from "../server/door/proxy.ts";
import type { TrustProxy } from "../server/door/proxy.ts";
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
export function checked<T>(parse: (value: string) => T): (value: string) => T {
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

/** The options of a bucket, as commander gives them. */
export interface BucketFlags {
  readonly bucket?: string;
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly s3PathStyle?: boolean;
  readonly s3Encryption?: Encryption;
}

export const bucketOptions = (): Option[] => [
  new Option("--bucket <url>", "where the log goes: dir:PATH or s3://BUCKET/PREFIX (see below)").argParser(
    checked((value: string) => {
      parseBucketUrl(value);
      return value;
    }),
  ),
  new Option("--s3-endpoint <url>", "an object store that is not Amazon's").argParser(checked(parseEndpoint)),
  new Option("--s3-region <region>", "its region (default: what the environment says)"),
  new Option("--s3-path-style", "address the bucket in the path (default with --s3-endpoint)"),
  new Option("--s3-encryption <how>", "server-side: s3, kms or kms:KEY-ID").argParser(checked(parseEncryption)),
];

/** The bucket that was asked for; undefined: none was. Throws BAD_OPTION for options without the bucket they belong to. */
export function bucketFrom(flags: BucketFlags): BucketSpec | undefined {
  const { bucket = process.env["FROND_BUCKET"] || undefined, s3Endpoint, s3Region, s3PathStyle, s3Encryption } = flags;
  const s3 = {
    ...(s3Endpoint !== undefined && { endpoint: s3Endpoint }),
    ...(s3Region !== undefined && { region: s3Region }),
    ...(s3PathStyle !== undefined && { pathStyle: s3PathStyle }),
    ...(s3Encryption !== undefined && { encryption: s3Encryption }),
  };
  if (bucket === undefined && Object.keys(s3).length > 0)
    throw new FrondError("BAD_OPTION", "--s3-... options belong to a bucket: name it with --bucket s3://BUCKET/PREFIX");
  if (bucket === undefined) return undefined;
  const place = parseBucketUrl(bucket);
  // Relative to where the command was given, wherever the next start is made.
  return place.store === "dir" ? { url: `dir:${path.resolve(place.path)}`, ...s3 } : { url: bucket, ...s3 };
}

/** The same options for a further command line. */
export function bucketArguments({ bucket, s3Endpoint, s3Region, s3PathStyle, s3Encryption }: BucketFlags): string[] {
  const encryption = s3Encryption && [s3Encryption.kind, "keyId" in s3Encryption ? s3Encryption.keyId : undefined];
  return [
    ...(bucket === undefined ? [] : ["--bucket", bucket]),
    ...(s3Endpoint === undefined ? [] : ["--s3-endpoint", s3Endpoint]),
    ...(s3Region === undefined ? [] : ["--s3-region", s3Region]),
    ...(s3PathStyle === true ? ["--s3-path-style"] : []),
    ...(encryption === undefined ? [] : ["--s3-encryption", encryption.filter((part) => part !== undefined).join(":")]),
  ];
}

export function parseEndpoint(value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not the URL of a store, as in http://127.0.0.1:9000`);
}

function parseEncryption(value: string): Encryption {
  if (value === "s3") return { kind: "s3" };
  if (value === "kms") return { kind: "kms" };
  if (/^kms:.+$/.test(value)) return { kind: "kms", keyId: value.slice("kms:".length) };
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not s3, kms or kms:KEY-ID`);
}

export const ttlOption = (): Option =>
  new Option("--ttl-ms <ms>", "how long others wait after a sign of life of this node before they take over")
    .default(LEASE_TTL_MS)
    .argParser(checked(parseTtl));

/** A whole number of ms, from MIN_TTL_MS. Throws BAD_OPTION. */
export function parseTtl(value: string): number {
  const ms = /^\d{1,9}$/.test(value) ? Number(value) : -1;
  if (ms >= MIN_TTL_MS) return ms;
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not a whole number of ms from ${MIN_TTL_MS}`);
}

export const retentionOption = (): Option =>
  new Option("--retention <time>", "how far back cells can be restored, as in 7d, 12h or 30m; older history is removed")
    .default(RETENTION_MS, "7d")
    .argParser(checked(parseRetention));

const DAY_MS = 24 * 3600_000;
const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3600_000, d: DAY_MS };

/** A time of days, hours or minutes, in ms. Throws BAD_OPTION. */
export function parseRetention(value: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(value) ?? [];
  const ms = Number(count) * (UNITS_MS[unit ?? ""] ?? NaN);
  if (ms >= MIN_RETENTION_MS && ms <= MAX_RETENTION_MS) return ms;
  const range = `from ${MIN_RETENTION_MS / 60_000}m to ${MAX_RETENTION_MS / DAY_MS}d`;
  throw new FrondError("BAD_OPTION", `${JSON.stringify(value)} is not a time ${range}, as in 7d, 12h or 30m`);
}

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
