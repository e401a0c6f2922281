// Assertions that stay on in production.
//
// Rule: an assertion states an invariant of frond's own code. When it fails the program is wrong, nothing that it does
// next can be trusted, and no caller may catch and continue: the node ends and recovers from its log.

/** A broken invariant of frond itself. Report it; it is never caused by input alone. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws an AssertionError unless `condition` holds. The message names the invariant. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`invariant broken: ${invariant}`);
}
