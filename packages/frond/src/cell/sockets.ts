// The WebSockets of cells: which ones an address has, how a cell accepts one, and what is answered without the cell.
//
// Rule: a socket belongs to the process that accepted it, not to the instance of its cell. The instance may be closed for
// room, discarded or broken; its sockets, their tags and attachments stay, and the next event opens the cell again. An
// idle socket costs no open cell, and an address without sockets costs nothing.
// Node's Response cannot say 101, and there is no pair of sockets to hand around: the request itself is accepted, and the
// Response that this gives makes the front door open the connection (docs/decisions/0008).

import { FrondError } from "../errors.ts";
import { MAX_AUTO_RESPONSE_BYTES, MAX_SOCKET_TAG_LENGTH, MAX_SOCKET_TAGS, MAX_SOCKETS_PER_CELL } from "../limits.ts";
import type { Address, Lsn } from "../types.ts";
import type { CellKind } from "./app.ts";
import type { LiveCell } from "./live.ts";
import { type CellSocket, encodeAttachment, encodeText } from "./socket.ts";
import { atCommit, SocketEnd, type SocketGate } from "./socketEnd.ts";

/** How a cell accepts a WebSocket. */
export interface AcceptOptions {
  /** Names under which `ctx.getWebSockets(tag)` finds it: at most 10, of 256 characters each. */
  readonly tags?: readonly string[];
  /** See {@link CellSocket.serializeAttachment}. */
  readonly attachment?: unknown;
  /** Whose pages may open it, beside those of this host: `"any"`, or origins such as `https://app.example.com`. */
  readonly origins?: "any" | readonly string[];
  /** The subprotocol to agree on, if the client offers it. */
  readonly protocol?: string;
}

/** The answer of a cell that accepts: given back by `fetch`, it opens the socket. */
export type SocketResponse = Response & {
  /** The socket; null when the answer is a refusal: no WebSocket was asked for (426), or by a foreign page (403). */
  readonly webSocket: CellSocket | null;
};

/** A request for a WebSocket that waits for its answer. Implemented by the server. */
export interface PendingUpgrade {
  /** False when a page of another origin asks which `origins` does not name. */
  allows(origins: AcceptOptions["origins"]): boolean;
  /** The response that opens the connection, for `end`. Throws BAD_OPTION when the request was accepted before. */
  accept(end: SocketEnd, protocol: string | undefined): Response;
  /** Takes the acceptance back: its response opens nothing any more. */
  withdraw(): void;
}

/** Finds out what a request asks for. Implemented by the server. */
export interface SocketDoor {
  /** Undefined when `request` asks for no WebSocket, or was answered already. */
  pending(request: Request): PendingUpgrade | undefined;
}

/** A text that is answered with another one without waking the cell. At most 2,048 bytes each. */
export class WebSocketRequestResponsePair {
  readonly #request: string;
  readonly #response: string;

  /** Throws BAD_OPTION when one of them is too large. */
  constructor(request: string, response: string) {
    this.#request = checkAuto("Request", String(request));
    this.#response = checkAuto("Response", String(response));
  }

  get request(): string {
    return this.#request;
  }

  get response(): string {
    return this.#response;
  }
}

interface AutoResponse {
  readonly pair: WebSocketRequestResponsePair;
  /** Its watermarks, as `lsn` and `bucketLsn` of a cell; `lsn` undefined: the transaction that set it is open. */
  lsn: Lsn | undefined;
  bucketLsn: Lsn;
}

/** The sockets of one address. */
export class CellSockets {
  readonly kind: CellKind;
  readonly name: string;
  readonly address: Address;
  readonly #registry: SocketRegistry;
  readonly #all = new Set<SocketEnd>();
  readonly #byTag = new Map<string, Set<SocketEnd>>();
  #auto: AutoResponse | undefined;

  constructor(registry: SocketRegistry, cell: LiveCell) {
    this.#registry = registry;
    this.kind = cell.kind;
    this.name = cell.name;
    this.address = cell.address;
  }

  get count(): number {
    return this.#all.size;
  }

  /** In the order of their acceptance. */
  list(tag: string | undefined): CellSocket[] {
    const ends = tag === undefined ? this.#all : (this.#byTag.get(tag) ?? []);
    return Array.from(ends, (end) => end.face);
  }

  /** Closes all of them; the cell, which was deleted, hears nothing of it. */
  dismiss(code: number, reason: string, lsn: Lsn, bucketLsn: Lsn): void {
    for (const end of this.#all) end.dismiss(code, reason, lsn, bucketLsn);
  }

  add(end: SocketEnd): void {
    if (this.#all.size === 0) this.#registry.keep(this);
    this.#all.add(end);
    for (const tag of end.tags) {
      const tagged = this.#byTag.get(tag);
      if (tagged === undefined) this.#byTag.set(tag, new Set([end]));
      else tagged.add(end);
    }
  }

  remove(end: SocketEnd): void {
    if (!this.#all.delete(end)) return;
    for (const tag of end.tags) {
      const tagged = this.#byTag.get(tag);
      tagged?.delete(end);
      if (tagged?.size === 0) this.#byTag.delete(tag);
    }
    if (this.#all.size === 0) this.#registry.release(this);
  }

  get autoResponse(): WebSocketRequestResponsePair | null {
    const pair = this.#auto?.pair;
    return pair === undefined ? null : new WebSocketRequestResponsePair(pair.request, pair.response);
  }

  setAutoResponse(pair: WebSocketRequestResponsePair | undefined): void {
    const before = this.#auto;
    const now: AutoResponse | undefined = pair && { pair, lsn: undefined, bucketLsn: 0 as Lsn };
    // The answer may tell of what the transaction that sets it has written.
    const known = (lsn: Lsn, bucketLsn: Lsn): void => void (now && Object.assign(now, { lsn, bucketLsn }));
    const undo = (): void => void (this.#auto === now && (this.#auto = before));
    atCommit(this.#registry.gate, known, undo, () => (this.#auto = now));
  }

  /** Answers `message` if it is the one that is answered without the cell. */
  answer(end: SocketEnd, message: string, now: () => number): boolean {
    const auto = this.#auto;
    if (auto?.lsn === undefined || message !== auto.pair.request) return false;
    end.autoRespondedMs = now();
    end.sendKnown(encodeText(auto.pair.response), auto.lsn, auto.bucketLsn);
    return true;
  }
}

/** The sockets of all cells of a node. */
export class SocketRegistry {
  readonly gate: SocketGate;
  readonly #door: SocketDoor;
  readonly #mostPerCell: number;
  readonly #sets = new Map<Address, CellSockets>();

  constructor(gate: SocketGate, door: SocketDoor, mostPerCell: number = MAX_SOCKETS_PER_CELL) {
    this.gate = gate;
    this.#door = door;
    this.#mostPerCell = mostPerCell;
  }

  /** Addresses that have sockets. Count. */
  get cells(): number {
    return this.#sets.size;
  }

  /** The sockets of a cell; kept by its instance, and by this registry for as long as there is one. */
  of(cell: LiveCell): CellSockets {
    return this.#sets.get(cell.address) ?? new CellSockets(this, cell);
  }

  keep(set: CellSockets): void {
    this.#sets.set(set.address, set);
  }

  release(set: CellSockets): void {
    this.#sets.delete(set.address);
  }

  /** See {@link AcceptOptions}; runs as part of the code that is running in `cell`. */
  accept(cell: LiveCell, set: CellSockets, request: Request, options: AcceptOptions): SocketResponse {
    cell.enter();
    checkOptions(options);
    const tags = checkTags(options.tags ?? []);
    const attachment = "attachment" in options ? encodeAttachment(options.attachment) : undefined;
    const pending = this.#door.pending(request);
    if (pending === undefined) return refusal(426, "UPGRADE_REQUIRED", "this address answers WebSockets only");
    if (!pending.allows(options.origins)) {
      return refusal(403, "FOREIGN_ORIGIN", "this page may not open a WebSocket here");
    }
    if (set.count >= this.#mostPerCell) {
      throw new FrondError("OVERLOADED", `${cell.address} has ${set.count} WebSockets, as many as one cell can have`);
    }
    const end = new SocketEnd(set, this.gate, tags, attachment);
    const response = pending.accept(end, options.protocol);
    set.add(end);
    cell.whenCommitted(
      () => {},
      () => pending.withdraw(),
      true,
    );
    return Object.assign(response, { webSocket: end.face });
  }
}

const OPTIONS = new Set(["tags", "attachment", "origins", "protocol"]);

function checkOptions(options: AcceptOptions): void {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.has(name)) throw new FrondError("BAD_OPTION", `accept knows ${[...OPTIONS].join(", ")}, not ${name}`);
  }
  const { origins } = options;
  if (origins === undefined || origins === "any") return;
  if (Array.isArray(origins) && origins.every((origin) => typeof origin === "string" && URL.canParse(origin))) return;
  throw new FrondError("BAD_OPTION", 'origins is "any" or a list such as ["https://app.example.com"]');
}

function checkTags(tags: unknown): string[] {
  if (!Array.isArray(tags)) throw new FrondError("BAD_OPTION", "the tags of a WebSocket are a list of strings");
  const distinct = [...new Set(tags.map(String))];
  if (distinct.length > MAX_SOCKET_TAGS) {
    throw new FrondError("BAD_OPTION", `a Hibernatable WebSocket cannot have more than ${MAX_SOCKET_TAGS} tags`);
  }
  for (const tag of distinct) {
    if (tag.length <= MAX_SOCKET_TAG_LENGTH) continue;
    const message = `"${tag}" is longer than the max tag length (${MAX_SOCKET_TAG_LENGTH} characters).`;
    throw new FrondError("BAD_OPTION", message);
  }
  return distinct;
}

function checkAuto(what: string, text: string): string {
  const size = Buffer.byteLength(text);
  if (size <= MAX_AUTO_RESPONSE_BYTES) return text;
  const message = `${what} cannot be larger than ${MAX_AUTO_RESPONSE_BYTES} bytes.`;
  throw new FrondError("BAD_OPTION", `${message} A ${what.toLowerCase()} of size ${size} was provided.`);
}

function refusal(status: number, code: string, message: string): SocketResponse {
  const headers = status === 426 ? { upgrade: "websocket" } : {};
  const response = Response.json({ error: { code, message } }, { status, headers });
  return Object.assign(response, { webSocket: null });
}
