// `frond/client`: calls from browsers, Node and Deno to the verbs that an app exposes, typed by the app itself.
//
// Rule: no dependency and no import but the files beside it, so a browser loads it as it stands; of the app only its type
// crosses. A verb is a method that returns a promise; what fails is a FrondClientError; nothing is sent twice.
// Rejected: generated clients (a build step, and one more thing to be stale), verbs at run time (the type knows them).

import { type CallOptions, carryBounded, encodeCall } from "./calls.ts";
import { unknownOutcome } from "./error.ts";
import { type CallHeaders, httpCarrier } from "./http.ts";
import { SocketCarrier, type SocketMaker } from "./socket.ts";
import { decode } from "./values.ts";

export type { CallOptions } from "./calls.ts";
export { type ArgumentIssue, FrondClientError } from "./error.ts";
export type { CallHeaders } from "./http.ts";
export type { ClientSocket, SocketMaker } from "./socket.ts";

/** What {@link connect} can be told. `signal` and `timeoutMs` hold for every call that states none. */
export interface ConnectOptions extends CallOptions {
  /** Headers of each HTTP call, an `authorization` for example. Cookies go along by themselves where they belong. */
  readonly headers?: CallHeaders;
  /** Calls go over one WebSocket, made when it is first needed and again after it was lost. Default: false, HTTP. */
  readonly socket?: boolean;
  /** Takes the place of the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Takes the place of `new WebSocket(url)`: the only way to give a handshake headers, where the platform can. */
  readonly webSocket?: SocketMaker;
}

/** The calls that the app of type `A` exposes, by kind and verb. */
export type CallsOf<A> = A extends { readonly "~exposed"?: infer X } ? NonNullable<X> : never;

/** A connection to an app. */
export interface Client<A> {
  /** A handle on a cell: its exposed verbs. Costs nothing, and sends nothing. */
  get<K extends keyof CallsOf<A> & string>(kind: K, name: string, options?: CallOptions): CallsOf<A>[K];
  /** Ends the WebSocket, if there is one; calls in flight then fail. HTTP needs no end. */
  close(): void;
}

/**
 * Connects to the app at `url`, `https://host` or `https://host/path/below/which/it/is`: `connect<typeof app>(url)`, where
 * `app` came by `import type`. Nothing is sent before the first call. Throws TypeError for a URL that is none, and for
 * `headers` with `socket`: a WebSocket takes headers from nobody but `webSocket`.
 */
export function connect<A>(url: string | URL, options: ConnectOptions = {}): Client<A> {
  const { headers, socket = false, fetch: send, webSocket, ...defaults } = options;
  const base = baseOf(url);
  if (socket && headers !== undefined) {
    throw new TypeError(
      "headers go with HTTP calls; give those of a WebSocket by webSocket: (url) => ..., or use cookies",
    );
  }
  const sockets = socket ? new SocketCarrier(base, webSocket) : undefined;
  // Called as a global: a method of this module would not be allowed to call the browser's own.
  const carry = sockets?.carry ?? httpCarrier(base, headers, send ?? ((input, init) => fetch(input, init)));
  const call = async (
    kind: string,
    name: string,
    verb: string,
    args: unknown[],
    own: CallOptions,
  ): Promise<unknown> => {
    const result = await carryBounded(carry, encodeCall(kind, name, verb, args), { ...defaults, ...own });
    try {
      return decode(result);
    } catch (cause) {
      throw unknownOutcome(`${verb} answered with a value of a newer form`, { cause });
    }
  };
  return {
    get: (kind, name, own = {}) => handle((verb, args) => call(kind, name, verb, args, own)) as CallsOf<A>[typeof kind],
    close: () => sockets?.close(),
  };
}

/** Every name is a verb, but for those that JavaScript itself asks for: a handle can be awaited, logged and compared. */
function handle(call: (verb: string, args: unknown[]) => Promise<unknown>): unknown {
  return new Proxy(Object.freeze({}), {
    get(target, name) {
      if (typeof name === "symbol" || name === "then" || name === "toJSON" || name in target)
        return Reflect.get(target, name);
      return (...args: unknown[]) => call(name, args);
    },
  });
}

function baseOf(url: string | URL): string {
  const { protocol, origin, pathname } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") {
    throw new TypeError(`${String(url)} is no URL of an app; it begins with https:// or http://`);
  }
  return (origin + pathname).replace(/\/+$/, "");
}
