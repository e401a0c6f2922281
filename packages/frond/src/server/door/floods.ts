// A log that no flood can fill: what load or a client can make happen by the thousand is told a few times, and counted.
//
// Rule: the first few of a cause are told at once, further ones once a second, and each line says how many of its cause were
// not told since the one before. Different causes do not hide each other: the same sentence about an error of another code,
// or from another place in the code, is told by itself. How many causes are known is bounded; beyond that they share.
// A count that no further event reports is dropped.
// Rejected: a limit by cell (as many lines as there are cells), a limit for all lines together (a flood of one kind would
// hide the one line that matters).

/** Lines of one cause that are told at once, after it was quiet for as many seconds. Count. */
const BURST = 10;
/** Causes that are told apart. Count. */
const MAX_CAUSES = 256;
/** Longest text that tells causes apart, in characters. */
const MAX_CAUSE_LENGTH = 300;
const SECOND_MS = 1_000;

interface Cause {
  left: number;
  at: number;
  unsaid: number;
}

/** Decides what is told: of each cause `burst` at once, then one a second. */
export class Seldom {
  readonly #burst: number;
  readonly #causes = new Map<string, Cause>();

  constructor(burst: number = BURST) {
    this.#burst = burst;
  }

  /** One more event of `cause`. Undefined: it is not told. Else how many were not told since the last one that was. */
  ask(cause: string): number | undefined {
    const now = performance.now();
    const one = this.#of(cause.slice(0, MAX_CAUSE_LENGTH), now);
    one.left = Math.min(this.#burst, one.left + (now - one.at) / SECOND_MS);
    one.at = now;
    if (one.left < 1) {
      one.unsaid += 1;
      return undefined;
    }
    one.left -= 1;
    const { unsaid } = one;
    one.unsaid = 0;
    return unsaid;
  }

  #of(cause: string, now: number): Cause {
    const known = this.#causes.get(cause);
    if (known !== undefined) return known;
    if (this.#causes.size >= MAX_CAUSES) this.#forgetQuiet(now);
    if (this.#causes.size >= MAX_CAUSES && cause !== OTHERS) return this.#of(OTHERS, now);
    const one = { left: this.#burst, at: now, unsaid: 0 };
    this.#causes.set(cause, one);
    return one;
  }

  #forgetQuiet(now: number): void {
    for (const [cause, { at }] of this.#causes) if (now - at >= this.#burst * SECOND_MS) this.#causes.delete(cause);
  }
}

/** The cause of all for which there is no room. */
const OTHERS = "";

/** What is written to, as far as a flood can reach it. */
export interface Told {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The same log for what may come by the thousand: a line has the field `unsaid` when some were left out before it. */
export function steadyLog(log: Told): Told {
  const seldom = new Seldom();
  const through =
    (level: keyof Told) =>
    (fields: object, message: string): void => {
      const unsaid = seldom.ask(`${level} ${message} ${causeOf((fields as { err?: unknown }).err)}`);
      if (unsaid !== undefined) log[level](unsaid === 0 ? fields : { ...fields, unsaid }, message);
    };
  return { warn: through("warn"), error: through("error") };
}

/** What tells errors apart that have the same sentence: their code, or class, and where they were thrown. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code, name, stack } = error as Error & { code?: unknown };
  const place = typeof stack === "string" ? /\n +at [^\n]*/.exec(stack)?.[0] : undefined;
  return `${typeof code === "string" ? code : name}${place ?? ""}`;
}
