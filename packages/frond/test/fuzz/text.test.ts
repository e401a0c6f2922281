// A slice of the fuzzing of addresses, options, claims of proxies and values as JSON, with a fixed seed; and that each
// oracle catches an entrance that is broken.

import { describe } from "vitest";
import { formatAddress, parseAddress } from "../../src/address.ts";
import { parseListen } from "../../src/cli/options.ts";
import { applyForwarded, parseTrustProxy, readForwarded } from "../../src/server/door/proxy.ts";
import { errorToWire, fromWire, toWire } from "../../src/server/operator/wire.ts";
import { fileNameOf } from "../../src/store/paths.ts";
import { addressTarget } from "./addresses.ts";
import { forwardedTarget, optionsTarget } from "./options.ts";
import { catches, holds } from "./slice.ts";
import { wireTarget } from "./wire.ts";

describe("addresses and names", () => {
  holds(addressTarget());
  const right = { format: formatAddress, parse: parseAddress, fileName: fileNameOf };
  const raw = addressTarget({
    ...right,
    format: (pairs) => pairs.map(({ kind, name }) => `${kind}/${name}`).join("/"),
  });
  catches("an address with its names as they are", raw);
  catches(
    "file names that keep capitals",
    addressTarget({ ...right, fileName: (address) => encodeURIComponent(address) }),
  );
  const cut = addressTarget({ ...right, fileName: (address) => fileNameOf(address).slice(0, 100) });
  catches("file names that are cut", cut);
  const folded = addressTarget({ ...right, parse: (text) => parseAddress(text.toLowerCase()) });
  catches("a reader that folds case", folded);
});

describe("options", () => {
  holds(optionsTarget());
  const listens = optionsTarget({
    trust: parseTrustProxy,
    listen: (value) => ({ ...parseListen(value), port: Number.parseInt(value.split(":").at(-1) ?? "", 10) % 1000 }),
  });
  catches("a port that is another", listens);
  const everybody = optionsTarget({
    listen: parseListen,
    trust: (value) => (parseTrustProxy(value) === undefined ? undefined : () => true),
  });
  catches("a list of proxies that lets everybody in", everybody);
});

describe("what proxies claim", () => {
  holds(forwardedTarget());
  const left = forwardedTarget((peer, headers, trust) => {
    const found = readForwarded(peer, headers, trust);
    const first = String(headers["x-forwarded-for"] ?? "")
      .split(",")[0]
      ?.trim();
    return found && { ...found, remoteAddress: first || found.remoteAddress };
  });
  catches("a reader that takes the first entry", left);
  const moved = forwardedTarget(readForwarded, (incoming, trust) => {
    const claimed = incoming.headers["x-forwarded-host"];
    if (trust !== undefined && claimed !== undefined) incoming.url = `http://${String(claimed)}${incoming.url}`;
    return applyForwarded(incoming, trust);
  });
  catches("a host that moves the path", moved);
});

describe("values as JSON", () => {
  holds(wireTarget());
  const lenient = wireTarget({
    toWire,
    errorToWire,
    fromWire(value) {
      const blob = (value as { $blob?: unknown } | null)?.$blob;
      return typeof blob === "string" ? new Uint8Array(Buffer.from(blob, "base64")) : fromWire(value);
    },
  });
  catches("a reader that leaves out what is no base64", lenient);
  const endless = wireTarget({
    fromWire,
    errorToWire,
    toWire: function all(value: unknown): unknown {
      return Array.isArray(value) ? value.map(all) : toWire(value);
    },
  });
  catches("a writer without a bound on depth", endless);
  const failing = wireTarget({
    toWire,
    fromWire,
    errorToWire: (error) => errorToWire(new Error((error as Error).message)),
  });
  catches("a failure that cannot be told", failing);
});
