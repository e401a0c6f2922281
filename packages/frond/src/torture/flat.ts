// Whether a quantity stays flat: the slope of its samples, in lives of a process that each begin anew.
//
// Rule: a process that has just started grows, so each life's beginning is left out; and what a restart gives back must not
// hide a leak, so the slope is that within the lives, and not between their ends.

/** One look at a process. */
export interface Sample {
  /** The number of the life, and its age in seconds. */
  readonly life: number;
  readonly age: number;
  /** Of the whole run, in seconds. */
  readonly at: number;
  readonly rssMiB: number;
  readonly fds: number;
}

/** The slope of `value` per minute of age, pooled over lives, each with its own level. Undefined: too little was seen. */
export function slopeWithin(
  samples: readonly Sample[],
  value: (sample: Sample) => number,
  warmUp: number,
): number | undefined {
  let [products, squares] = [0, 0];
  for (const life of livesOf(samples, warmUp)) {
    const [age, level] = [mean(life.map((sample) => sample.age)), mean(life.map(value))];
    for (const sample of life) {
      products += (sample.age - age) * (value(sample) - level);
      squares += (sample.age - age) ** 2;
    }
  }
  return squares === 0 ? undefined : (60 * products) / squares;
}

/** The growth of `value` from the first life to the last, per minute of the run. Undefined: fewer than two lives. */
export function slopeBetween(
  samples: readonly Sample[],
  value: (sample: Sample) => number,
  warmUp: number,
): number | undefined {
  const lives = livesOf(samples, warmUp);
  const [first, last] = [lives[0], lives.at(-1)];
  if (first === undefined || last === undefined || first === last) return undefined;
  const minutes = (mean(last.map((sample) => sample.at)) - mean(first.map((sample) => sample.at))) / 60;
  return (mean(last.map(value)) - mean(first.map(value))) / minutes;
}

/** Lives of which enough was seen, without their beginnings. */
function livesOf(samples: readonly Sample[], warmUp: number): Sample[][] {
  const lives = Map.groupBy(
    samples.filter((sample) => sample.age >= warmUp),
    (sample) => sample.life,
  );
  return [...lives.values()].filter((life) => life.length >= 3);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
