// Options of the command line, and what proxies claim: text that decides who is believed and where frond listens.
//
// Rule: a value means what the reference says it means, or is refused with BAD_OPTION. Headers are from anybody: what the
// client itself put in front of what its proxies wrote never changes the answer.

import fc from "fast-check";
import { Command, CommanderError } from "commander";
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import type { IncomingMessage } from "node:http";
import {
  listenFromEnvironment,
  listenOption,
  logLevelOption,
  parseListen,
  trustProxyOption,
} from "../../src/cli/options.ts";
import { applyForwarded, parseTrustProxy, readForwarded } from "../../src/server/door/proxy.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom(
    "127.0.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "10.1.2.3",
    "unknown",
    "",
    "1.2.3",
    "::%",
    "0x7f.1",
  ),
);
const odd = fc.oneof(
  fc.constantFrom(
    "constructor",
    "__proto__",
    "toString",
    "true",
    "false",
    "0",
    "1",
    "99",
    "100",
    "-1",
    "1e1",
    "*",
    "0 ",
  ),
  fc.constantFrom("loopback", "private", "linklocal", "10.0.0.0/8", "10.0.0.0/33", "::/0", "::1/129", "1.2.3.4/", "/8"),
  fc.string({ maxLength: 8 }),
);
const list = fc.array(fc.oneof(address, odd), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(","));
const listen = fc.oneof(
  fc.tuple(fc.oneof(address, fc.domain(), odd), fc.integer({ min: -1, max: 70_000 })).map((parts) => parts.join(":")),
  fc.tuple(fc.ipV6(), fc.nat(65_535)).map(([host, port]) => `[${host}]:${port}`),
  fc.nat(99_999).map(String),
  fc.string({ maxLength: 12 }),
);

interface OptionCase {
  readonly trust: string;
  readonly listen: string;
  readonly environment: { readonly HOST: string; readonly PORT: string };
  readonly asked: string;
}

export function optionsTarget(parse = { listen: parseListen, trust: parseTrustProxy }): Target {
  return target("options", 2000, (): Entrance<OptionCase> => ({
    input: fc.record({
      trust: fc.oneof(list, odd),
      listen,
      environment: fc.record({ HOST: fc.oneof(address, odd), PORT: fc.oneof(odd, fc.nat(70_000).map(String)) }),
      asked: address,
    }),
    check(input) {
      judgeListen(input.listen, parse.listen);
      judgeTrust(input.trust, input.asked, parse.trust);
      const found = attempt(["BAD_OPTION"], () => listenFromEnvironment(input.environment));
      if ("value" in found) judgePlace(found.value);
      judgeCommand(["--listen", input.listen, "--trust-proxy", input.trust, "--log-level", input.trust]);
    },
  }));
}

function judgeListen(value: string, parse: typeof parseListen): void {
  const found = attempt(["BAD_OPTION"], () => parse(value));
  if ("code" in found) return;
  judgePlace(found.value);
  const { host, port } = found.value;
  const spelled = [`${host}:${port}`, `[${host}]:${port}`, String(port)];
  // Zeros in front of a port change nothing.
  if (!spelled.includes(value.replace(/(^|:)0+(?=\d+$)/, "$1"))) throw new Error(`${value} is taken for ${spelled[0]}`);
}

function judgePlace({ host, port }: { host: string; port: number }): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`port ${port}`);
  if (!/^[A-Za-z0-9.-]+$/.test(host) && !isIPv6(host)) throw new Error(`host ${host}`);
}

function judgeTrust(value: string, asked: string, parse: typeof parseTrustProxy): void {
  const found = attempt(["BAD_OPTION"], () => parse(value));
  if ("code" in found) return;
  const trusted = found.value?.(asked, 0) ?? false;
  if (typeof trusted !== "boolean") throw new Error(`trust is ${String(trusted)}`);
  if (trusted !== isTrusted(value.trim(), asked)) throw new Error(`${asked} is ${trusted ? "" : "not "}trusted`);
}

/** What `--trust-proxy` says of the proxy in front, entry by entry. */
function isTrusted(value: string, asked: string): boolean {
  if (value === "true" || /^\d{1,2}$/.test(value)) return Number(value) !== 0;
  if (value === "false" || isIP(asked) === 0) return false;
  return value.split(",").some((entry) => {
    const names: Record<string, string> = {
      loopback: "127.0.0.0/8 ::1",
      linklocal: "169.254.0.0/16 fe80::/10",
      private: "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
    };
    return (Object.hasOwn(names, entry.trim()) ? (names[entry.trim()] as string) : entry).split(" ").some((range) => {
      const [net, bits] = range.trim().split("/");
      if (net === undefined || isIP(net) === 0) return false;
      const one = new BlockList();
      one.addSubnet(net, Number(bits ?? (isIPv4(net) ? 32 : 128)), isIPv4(net) ? "ipv4" : "ipv6");
      return one.check(asked, isIPv4(asked) ? "ipv4" : "ipv6");
    });
  });
}

/** The command line itself: a wrong value is commander's error and nothing else. */
function judgeCommand(args: string[]): void {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  command.addOption(listenOption()).addOption(trustProxyOption()).addOption(logLevelOption("info"));
  try {
    command.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
}

interface ForwardedCase {
  readonly trust: string;
  readonly peer: string;
  /** What the client itself claims, in front of what proxies wrote. */
  readonly claimed: string;
  readonly headers: { readonly for: string; readonly proto: string; readonly host: string };
  readonly target: string;
}

const claim = fc
  .array(
    fc.oneof(
      address,
      odd,
      address.map((one) => `[${one}]:80`),
    ),
    { maxLength: 4 },
  )
  .map((all) => all.join(", "));
const host = fc.oneof(
  fc.constantFrom(
    "a.example",
    "a.example:8080",
    "[::1]:80",
    "a/b",
    "a@b",
    "a\\b",
    "a?b",
    "a#b",
    "a:b",
    "",
    " ",
    "%61",
    "é",
  ),
  odd,
);
const requestTarget = fc.oneof(
  fc.constantFrom("/", "/a/b?c=d", "//evil/x", "/\\evil", "/..//", "/%2e%2e/x", "*", "/a b", "/@x", "/?"),
  fc.string({ maxLength: 10 }).map((end) => `/${end}`),
);

export function forwardedTarget(read = readForwarded, apply = applyForwarded): Target {
  return target("forwarded", 3000, (): Entrance<ForwardedCase> => ({
    input: fc.record({
      trust: fc.constantFrom("true", "1", "2", "loopback", "loopback,10.0.0.0/8", "private", "::1,fe80::/10"),
      peer: fc.oneof(fc.constantFrom("127.0.0.1", "::1", "10.1.2.3", "", "::ffff:127.0.0.1"), address),
      claimed: claim,
      headers: fc.record({ for: claim, proto: fc.constantFrom("http", "https", "HTTPS, http", "ws", ""), host }),
      target: requestTarget,
    }),
    check(input) {
      judgeClaims(input, read);
      judgeTarget(input, apply);
    },
  }));
}

function headersOf({ headers }: ForwardedCase): Record<string, string> {
  const named = {
    "x-forwarded-for": headers.for,
    "x-forwarded-proto": headers.proto,
    "x-forwarded-host": headers.host,
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== ""));
}

function judgeClaims(input: ForwardedCase, read: typeof readForwarded): void {
  const trust = parseTrustProxy(input.trust);
  if (trust === undefined) return;
  const headers = headersOf(input);
  const found = read(input.peer, headers, trust);
  const believed = isIP(input.peer) !== 0 && trust(input.peer, 0);
  if ((found !== undefined) !== believed) throw new Error("the peer decides whether claims are read");
  if (found === undefined) return;
  if (isIP(found.remoteAddress) === 0) throw new Error(`${found.remoteAddress} is no address`);
  // A client that the proxies do not trust stands behind what it wrote itself.
  const hops = input.headers.for.split(",").filter((entry) => entry.trim() !== "").length;
  if (found.remoteAddress === input.peer || trust(found.remoteAddress, hops)) return;
  const again = read(input.peer, { ...headers, "x-forwarded-for": `${input.claimed}, ${input.headers.for}` }, trust);
  if (again?.remoteAddress !== found.remoteAddress) throw new Error(`a claim makes ${again?.remoteAddress} of it`);
}

function judgeTarget(input: ForwardedCase, apply: typeof applyForwarded): void {
  const incoming = {
    url: input.target,
    headers: { ...headersOf(input), host: "real.example" },
    socket: { remoteAddress: input.peer },
  };
  apply(incoming as unknown as IncomingMessage, parseTrustProxy(input.trust));
  if (incoming.url === input.target) return;
  if (!URL.canParse(incoming.url)) return;
  const plain = new URL(`http://real.example${input.target}`);
  const made = new URL(incoming.url);
  if (made.pathname + made.search !== plain.pathname + plain.search) throw new Error(`the path is ${made.pathname}`);
  if (made.username !== "" || made.password !== "") throw new Error(`${incoming.url} holds a user`);
}
