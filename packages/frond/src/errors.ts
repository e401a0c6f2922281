// Every failure of frond, in one readable table.
//
// Rule: an operating error (bad input, a full disk, a damaged file) is a FrondError with a stable `code`; a broken
// invariant of frond itself is an assertion (see assert.ts). The table states per code whether a retry can help and
// whether the refusal is due to load, so no call site decides that anew.
// Rejected: one class per failure (callers match on `code`, which also survives the way through a socket).

/** What the table states about one code. */
export interface ErrorTraits {
  /** A later attempt at the same operation can succeed without anybody changing anything. */
  readonly retryable?: true;
  /** The operation was refused because of load or missing space, before it had any effect. */
  readonly overloaded?: true;
}

/** The codes of all errors that frond raises by itself. */
export const ERROR_CODES = {
  // Addresses, options, calls
  BAD_ADDRESS: {},
  BAD_OPTION: {},
  UNKNOWN_KIND: {},
  UNKNOWN_VERB: {},
  NOT_CLONEABLE: {},
  NOT_AN_APP: {},
  APP_FAILED: {},
  NODE_TOO_OLD: {},
  // SQL inside a cell
  BAD_VALUE: {},
  SQL_ERROR: {},
  SQL_CONSTRAINT: {},
  SQL_DENIED: {},
  SQL_ONE_ROW: {},
  RESULT_TOO_LARGE: {},
  RECORD_TOO_LARGE: {},
  KEY_TOO_LARGE: {},
  // Transactions and invocations
  TX_ABORTED: {},
  TX_ASYNC: {},
  STRAY_STATEMENT: {},
  COMMIT_FAILED: { retryable: true },
  ABORTED: {},
  REENTRANT: {},
  QUEUE_FULL: { retryable: true, overloaded: true },
  CELL_BUSY: { retryable: true, overloaded: true },
  OUTCOME_UNKNOWN: {},
  TERMINATED: {},
  CELL_PARKED: {},
  // Opening a cell
  MIGRATION_FAILED: {},
  MIGRATION_DRIFT: {},
  MIGRATION_GAP: {},
  SCHEMA_NEWER: { retryable: true },
  CELL_MISSING: {},
  CELL_EXISTS: {},
  CELL_CHANGED: {},
  BAD_CONTENT: {},
  HISTORY_GONE: {},
  CELL_DAMAGED: {},
  ACTIVATION_FAILED: {},
  // Files
  FILE_TOO_LARGE: {},
  FILE_MISSING: {},
  // WebSockets
  SOCKET_CLOSED: {},
  MESSAGE_TOO_LARGE: {},
  ATTACHMENT_TOO_LARGE: {},
  // The node and its disk
  DISK_FULL: { retryable: true, overloaded: true },
  OVERLOADED: { retryable: true, overloaded: true },
  STOPPING: { retryable: true },
  BODY_TOO_LARGE: {},
  DATA_LOCKED: {},
  DATA_NEWER: {},
  DATA_DAMAGED: {},
  NOT_RUNNING: {},
  NO_DATA: {},
  LISTEN_FAILED: {},
  FILE_EXISTS: {},
  LOG_FAILED: {},
  // The bucket
  NO_BUCKET: {},
  BUCKET_FAILED: { retryable: true },
  BUCKET_DENIED: {},
  BUCKET_REFUSED: {},
  SLOT_OWNED: { retryable: true },
  BUCKET_IN_USE: {},
  DATA_FOREIGN: {},
  COPY_INCOMPLETE: {},
  // Bytes that are not what they should be
  WAL_DAMAGED: {},
  RECORD_DAMAGED: {},
  RECORD_NEWER: {},
  LOG_DAMAGED: {},
  OBJECT_DAMAGED: {},
  OBJECT_NEWER: {},
} as const satisfies Record<string, ErrorTraits>;

/** One of the stable codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * An operating error of frond. The message says what is wrong, where, and what to do.
 *
 * `retryable`: a later attempt can succeed. `overloaded`: refused because of load or space, without effect.
 * `remote`: a verb had begun and ended with it; false: it was raised before any code of the called cell ran.
 */
export class FrondError extends Error {
  override readonly name = "FrondError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly overloaded: boolean;
  remote = false;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    const traits: ErrorTraits = ERROR_CODES[code];
    this.retryable = traits.retryable === true;
    this.overloaded = traits.overloaded === true;
  }
}

/** True for a FrondError, with the given code if one is named. */
export function isFrondError(error: unknown, code?: ErrorCode): error is FrondError {
  return error instanceof FrondError && (code === undefined || error.code === code);
}
