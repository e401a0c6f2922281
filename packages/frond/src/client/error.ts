// The one error of the client.
//
// Rule: whatever keeps a call from its result is a FrondClientError with a code to match on; nobody has to tell network
// errors, statuses and answers apart. OUTCOME_UNKNOWN is said whenever the call may have been made: never a guess.

/** One thing that a schema had against the arguments of a call. */
export interface ArgumentIssue {
  /** Where: index of the argument, then keys within it. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What is known of a failed call. */
export interface FailureFacts {
  readonly code: string;
  readonly message: string;
  readonly retryable?: boolean;
  readonly status?: number;
  readonly requestId?: string;
  readonly issues?: readonly ArgumentIssue[];
}

/** A call that gave no result. */
export class FrondClientError extends Error {
  override readonly name = "FrondClientError";
  /**
   * REFUSED, BAD_ARGUMENTS, FAILED, OUTCOME_UNKNOWN (it may have been made, or not), NOT_CONNECTED (it was not made),
   * codes of the server that invite a retry (OVERLOADED and others), and those of the app's own public errors.
   */
  readonly code: string;
  /** The same call can succeed later, with nothing changed. */
  readonly retryable: boolean;
  /** HTTP status; undefined when there was none, as on a WebSocket. */
  readonly status: number | undefined;
  /** Names the failure in the log of the server. */
  readonly requestId: string | undefined;
  /** For BAD_ARGUMENTS of a schema. */
  readonly issues: readonly ArgumentIssue[];

  constructor(facts: FailureFacts, options?: { cause?: unknown }) {
    super(facts.message, options);
    this.code = facts.code;
    this.retryable = facts.retryable === true;
    this.status = facts.status;
    this.requestId = facts.requestId;
    this.issues = facts.issues ?? [];
  }
}

/** The call may have been made. */
export function unknownOutcome(why: string, facts?: { status?: number; cause?: unknown }): FrondClientError {
  const { status, cause } = facts ?? {};
  const message = `${why}; the call may have been made, or not`;
  return new FrondClientError(
    { code: "OUTCOME_UNKNOWN", message, ...(status !== undefined && { status }) },
    cause === undefined ? undefined : { cause },
  );
}

/** The call was not made. */
export function notConnected(why: string, cause?: unknown): FrondClientError {
  const message = `${why}; the call was not made`;
  return new FrondClientError(
    { code: "NOT_CONNECTED", message, retryable: true },
    cause === undefined ? undefined : { cause },
  );
}

/** The error that an answer `{"error": ...}` tells, or undefined for a body of another shape. */
export function toldError(error: unknown, status?: number): FrondClientError | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, message, retryable, requestId, issues } = error as Partial<Record<keyof FailureFacts, unknown>>;
  if (typeof code !== "string" || typeof message !== "string") return undefined;
  return new FrondClientError({
    code,
    message,
    // The front door's own refusals (too much to do, stopping) do not say it: their status does.
    retryable: retryable === true || (retryable === undefined && status === 503),
    ...(status !== undefined && { status }),
    ...(typeof requestId === "string" && { requestId }),
    ...(Array.isArray(issues) && { issues: issues as ArgumentIssue[] }),
  });
}
