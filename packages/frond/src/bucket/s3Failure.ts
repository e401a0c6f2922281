// What an object store and its client answer, as errors of a bucket.
//
// Rule: 401 and 403 are BUCKET_DENIED and name the right that is missing; what may go by itself (no connection, a broken one,
// 408, 409, 429, 5xx) is BUCKET_FAILED; every other answer is BUCKET_REFUSED. The client's error is not kept as the cause,
// since it holds the request with its signature and session token; name, status and message are taken from it.

import { AssertionError } from "../assert.ts";
import { FrondError, type ErrorCode } from "../errors.ts";
import type { FaultyCall } from "./faulty.ts";

/** What is done to a bucket. */
export type Operation = FaultyCall["operation"] | "life-cycle";

const RIGHTS: Readonly<Record<Operation, string>> = {
  create: "s3:PutObject",
  put: "s3:PutObject (and s3:AbortMultipartUpload for large objects)",
  get: "s3:GetObject (and s3:ListBucket, without which the store answers the same for what is not there)",
  list: "s3:ListBucket",
  delete: "s3:DeleteObject",
  "life-cycle": "s3:GetLifecycleConfiguration",
};

/** Names of answers that say more than their status. */
const BY_NAME: Readonly<Record<string, { code: ErrorCode; advice: string }>> = {
  CredentialsProviderError: {
    code: "BUCKET_DENIED",
    advice: "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role",
  },
  InvalidAccessKeyId: { code: "BUCKET_DENIED", advice: "the store does not know these credentials" },
  SignatureDoesNotMatch: { code: "BUCKET_DENIED", advice: "the secret does not belong to this access key" },
  ExpiredToken: { code: "BUCKET_DENIED", advice: "the credentials have expired" },
  RequestTimeTooSkewed: { code: "BUCKET_FAILED", advice: "set the clock of this machine" },
  NoSuchBucket: { code: "BUCKET_REFUSED", advice: "create the bucket first; frond does not" },
  PermanentRedirect: { code: "BUCKET_REFUSED", advice: "the bucket is in another region: state it" },
  AuthorizationHeaderMalformed: { code: "BUCKET_REFUSED", advice: "the bucket is in another region: state it" },
  NotImplemented: { code: "BUCKET_REFUSED", advice: "frond needs a store that can do this" },
  RequestTimeout: { code: "BUCKET_FAILED", advice: "the store waited for the rest of the request in vain" },
};

const PASSING = new Set([408, 409, 425, 429]);

interface Told {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** Status of the answer; undefined: there was none. */
export function statusOf(error: unknown): number | undefined {
  return (error as Partial<Told> | undefined)?.$metadata?.httpStatusCode;
}

/** Whether an answer says that the object is not there. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && (error as Told).name !== "NoSuchBucket";
}

/** Whether a failure is from before anything left this machine. */
export function neverLeft(error: unknown): boolean {
  const { code, name } = error as Partial<Told>;
  if (name === "CredentialsProviderError") return true;
  return code !== undefined && ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"].includes(code);
}

/** `error` as what a bucket rejects with. */
export function failureOf(error: unknown, operation: Operation, what: string): FrondError {
  if (error instanceof FrondError) return error;
  if (error instanceof AssertionError) throw error;
  const told = error as Told;
  const status = statusOf(error);
  const known = BY_NAME[told.name];
  const advice = known?.advice ?? (status === 401 || status === 403 ? `it needs the right ${RIGHTS[operation]}` : "");
  const id = told.$metadata?.requestId === undefined ? "" : ` (request ${told.$metadata.requestId})`;
  const answer = [status, told.name, told.code].filter((word) => word !== undefined && word !== "Error").join(" ");
  // The last is what the client says where the store said nothing.
  const said = ["", told.name, "UnknownError"].includes(told.message) ? "" : `: ${told.message}`;
  const code = known?.code ?? codeOf(status);
  const verb = code === "BUCKET_DENIED" ? "is not allowed" : code === "BUCKET_REFUSED" ? "was refused" : "failed";
  return new FrondError(code, `${what} ${verb}: ${answer}${said}${id}${advice === "" ? "" : `; ${advice}`}`);
}

function codeOf(status: number | undefined): ErrorCode {
  if (status === 401 || status === 403) return "BUCKET_DENIED";
  if (status === undefined || status >= 500 || status < 300 || PASSING.has(status)) return "BUCKET_FAILED";
  return "BUCKET_REFUSED";
}
