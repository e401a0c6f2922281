// A number of places: work that finds none waits, in its order.

/** Lets at most `most` pieces of work run at once. */
export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#free = most;
  }

  /** Runs `work` when a place is free. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The place goes to who waits, and is never free in between.
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
