// Which of the many states that a mailbox was in are offered to go back to.
//
// Rule: the nearer, the finer: of the last minutes each change, then the last state of ten minutes, of an hour, of a day. What
// a restore has replaced is always among them: whoever went to the wrong place finds back.

import type { PastCommit } from "frond";

/** A state that is offered. */
export interface PastMoment extends PastCommit {
  /** It is what a restore has replaced. */
  readonly undone: boolean;
}

const MINUTE = 60_000;
/** Up to which age, in ms, the last state of which span is offered. */
const SPANS: readonly (readonly [number, number])[] = [
  [60 * MINUTE, 10 * MINUTE],
  [24 * 60 * MINUTE, 60 * MINUTE],
  [Infinity, 24 * 60 * MINUTE],
];
/** Age up to which each change is offered, in ms, and how many of them. */
const EACH = 15 * MINUTE;
const MOST_EACH = 8;
/** States that are offered, at most. */
export const MOST_MOMENTS = 48;

/** Chooses from the commits of a mailbox, the newest first, of which the first is the present. `now`: ms since 1970. */
export function chooseMoments(commits: readonly PastCommit[], now: number): PastMoment[] {
  const groups = new Set<string>();
  const chosen: PastMoment[] = [];
  let each = 0;
  for (const [i, commit] of commits.entries()) {
    const undone = commits[i - 1]?.what === "replaced";
    // What a restore wrote is the state that was chosen then, and stands there.
    if (i === 0 || commit.what === "deleted" || (commit.what === "replaced" && !undone)) continue;
    const age = now - commit.time;
    const fine = age < EACH && each < MOST_EACH;
    const group = fine ? commit.position : groupOf(commit.time, age);
    if (!undone && groups.has(group)) continue;
    groups.add(group);
    if (fine) each += 1;
    if (chosen.push({ ...commit, undone }) === MOST_MOMENTS) break;
  }
  return chosen;
}

function groupOf(time: number, age: number): string {
  const [, span] = SPANS.find(([up]) => age < up) as readonly [number, number];
  return `${span} ${Math.floor(time / span)}`;
}
