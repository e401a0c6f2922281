// The network between a node and its store: connections that can be cut, or hear nothing any more.
//
// Rule: bytes are passed on as they are, so the store sees the node's own requests. Cut: every connection is reset, and so is
// each new one. Silent: connections stay, or are taken, and nothing arrives; when the silence ends what was sent arrives late, or
// its connection is reset, as with a real network.

import net from "node:net";
import type { Random } from "./random.ts";

type Conduct = "pass" | "cut" | "silent";

interface Pair {
  readonly node: net.Socket;
  readonly store: net.Socket;
}

/** See the head of the file. */
export class TcpProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server = net.createServer({ pauseOnConnect: true }, (socket) => this.#take(socket));
  readonly #pairs = new Set<Pair>();
  #conduct: Conduct = "pass";

  /** `target`: URL of what stands behind it. */
  static async start(target: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(target);
    const proxy = new TcpProxy({ host: hostname, port: Number(port) });
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  cut(): void {
    this.#conduct = "cut";
    for (const pair of this.#pairs) reset(pair);
  }

  silence(): void {
    this.#conduct = "silent";
    for (const { node, store } of this.#pairs) {
      node.pause();
      store.pause();
    }
  }

  /** Bytes go through again; of connections that were silent some are reset. */
  restore(random: Random): void {
    const wasSilent = this.#conduct === "silent";
    this.#conduct = "pass";
    if (!wasSilent) return;
    const share = random.pick([0, 0.5, 1]);
    for (const pair of this.#pairs) {
      if (random.chance(share)) reset(pair);
      else resume(pair);
    }
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) reset(pair);
  }

  #take(node: net.Socket): void {
    if (this.#conduct === "cut") return void node.resetAndDestroy();
    const pair = { node, store: net.connect(this.#target) };
    this.#pairs.add(pair);
    this.#pass(pair, node, pair.store);
    this.#pass(pair, pair.store, node);
    if (this.#conduct === "silent") pair.store.pause();
    else resume(pair);
  }

  #pass(pair: Pair, from: net.Socket, to: net.Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes) => {
      if (to.write(bytes)) return;
      from.pause();
      to.once("drain", () => {
        if (this.#conduct !== "silent") from.resume();
      });
    });
    from.on("end", () => to.end());
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#pairs.delete(pair);
      to.destroySoon();
    });
  }
}

function resume({ node, store }: Pair): void {
  node.resume();
  store.resume();
}

function reset({ node, store }: Pair): void {
  node.resetAndDestroy();
  store.destroy();
}
