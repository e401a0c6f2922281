// Who asked, when a proxy stands between: X-Forwarded-For, -Proto and -Host.
//
// Rule: these headers are claims, and a claim counts only if the one who passed it on is trusted. Reading from the
// right (the nearest proxy wrote the last entry), the first address that is not a trusted proxy is the client; what
// stands further left was written by the client itself and is never read. Nobody is trusted unless the operator says.
// Rejected: trusting private addresses by default (a neighbour in the same network could then be anyone), the header
// `Forwarded` (proxies that set it set X-Forwarded-* too; two sources that disagree are a hole).

import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { FrondError } from "../../errors.ts";
import { peerAddress } from "./request.ts";

/** Decides whether the proxy at `address`, the `hop`-th counted from this process (0 = the peer), is trusted. */
export type TrustProxy = ((address: string, hop: number) => boolean) | undefined;

/** What a request's trusted proxies say of its client. Absent parts were not stated. */
export interface Forwarded {
  readonly remoteAddress: string;
  readonly proto?: "http" | "https";
  readonly host?: string;
}

/** Request headers as node gives them: repeated ones joined with ", ". */
export type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

const NAMED_RANGES: ReadonlyMap<string, readonly string[]> = new Map([
  ["loopback", ["127.0.0.0/8", "::1/128"]],
  ["linklocal", ["169.254.0.0/16", "fe80::/10"]],
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]],
]);

/**
 * The meaning of `--trust-proxy`: `false`, `true` (everybody: only behind a proxy that cannot be passed by), a count of
 * hops, or a list of addresses, CIDR ranges and the names loopback, linklocal, private. Throws BAD_OPTION.
 */
export function parseTrustProxy(text: string): TrustProxy {
  const value = text.trim();
  if (value === "false" || value === "0") return undefined;
  if (value === "true") return () => true;
  if (/^\d{1,2}$/.test(value)) {
    const hops = Number(value);
    return (_address, hop) => hop < hops;
  }
  const list = new BlockList();
  for (const entry of value.split(",").map((part) => part.trim())) {
    for (const range of NAMED_RANGES.get(entry) ?? [entry]) addRange(list, range, text);
  }
  return (address) => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function addRange(list: BlockList, range: string, text: string): void {
  const [address = "", prefix, ...rest] = range.split("/");
  const family = isIP(address);
  const bits = family === 6 ? 128 : 32;
  const length = prefix === undefined ? bits : Number(prefix);
  const wellFormed = rest.length === 0 && (prefix === undefined || /^\d{1,3}$/.test(prefix)) && length <= bits;
  if (family === 0 || !wellFormed) {
    throw new FrondError(
      "BAD_OPTION",
      `${JSON.stringify(range)} in --trust-proxy ${JSON.stringify(text)} is not an address, a range like 10.0.0.0/8, ` +
        `or one of ${[...NAMED_RANGES.keys()].join(", ")}; whole values are true, false or a count of proxies`,
    );
  }
  list.addSubnet(address, length, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Rewrites the target of `incoming` to the URL that its trusted proxies state, and returns the client's address if they
 * state one.
 */
export function applyForwarded(incoming: IncomingMessage, trust: TrustProxy): string | undefined {
  if (trust === undefined) return undefined;
  const forwarded = readForwarded(peerAddress(incoming.socket), incoming.headers, trust);
  if (forwarded === undefined) return undefined;
  const host = forwarded.host ?? incoming.headers.host;
  if ((forwarded.proto ?? forwarded.host) !== undefined && host !== undefined && incoming.url?.startsWith("/")) {
    // A host with more than a name and a port in it would move the path: it becomes a URL that is refused with 400.
    const safe = HOST.test(host) ? host : "[";
    incoming.url = `${forwarded.proto ?? "http"}://${safe}${incoming.url}`;
  }
  return forwarded.remoteAddress;
}

const HOST = /^(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;

/** What the trusted proxies in front of `peer` say, or undefined when `peer` is not one of them. */
export function readForwarded(
  peer: string,
  headers: IncomingHeaders,
  trust: NonNullable<TrustProxy>,
): Forwarded | undefined {
  if (isIP(peer) === 0 || !trust(peer, 0)) return undefined;
  const claims = entries(headers["x-forwarded-for"]);
  let remoteAddress = peer;
  // `hop` counts the entries that trusted proxies wrote: the one at `claims.length - hop` is the last of them.
  let hop = 0;
  while (hop < claims.length) {
    const address = addressOf(claims[claims.length - 1 - hop] as string);
    if (address === undefined) break;
    remoteAddress = address;
    hop++;
    if (!trust(address, hop)) break;
  }
  const proto = claimAt(entries(headers["x-forwarded-proto"]), hop)?.toLowerCase();
  const host = claimAt(entries(headers["x-forwarded-host"]), hop);
  return {
    remoteAddress,
    ...(proto === "http" || proto === "https" ? { proto } : {}),
    ...(host === undefined ? {} : { host }),
  };
}

function entries(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return String(header)
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

/** The entry written by the same proxy that named the client; a proxy that overwrites leaves fewer entries. */
function claimAt(list: readonly string[], hop: number): string | undefined {
  return list[Math.max(0, list.length - Math.max(1, hop))];
}

/** The address of an X-Forwarded-For entry: some proxies add a port. Undefined for names such as `unknown`. */
function addressOf(entry: string): string | undefined {
  if (isIP(entry) !== 0) return entry;
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(entry)?.[1];
  const address = bracketed ?? /^([\d.]+):\d+$/.exec(entry)?.[1];
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}
