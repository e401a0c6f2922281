// Calls from outside: one call of one exposed verb, however it came.
//
// Rule: closed by default, and the closed door has one face. A kind, a verb or a name that is not there, a verb that is not
// exposed and a call that `authorize` does not grant get the very same refusal, so a stranger learns nothing by trying; what
// is wrong with the arguments of a call is told only to whom `authorize` would have let through. The schema runs first,
// because `authorize` decides about what the verb will get; for arguments that it refuses `authorize` is asked with none.
// Of an error only what was meant for outside is told: a PublicError (any error with `expose: true` and a code), and that
// a retry may help. Everything else is FAILED, with an id under which the log has the reason.
// Answers wait until what they tell is as durable as was asked, refusals and errors too: `authorize` may have read a cell.
// Rejected: 404 for what is not there (two refusals are an oracle), telling codes of any error (Node's own name files).

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { checkName } from "../../address.ts";
import type { CallOrigin, CheckedExposure, ExposedCall } from "../../cell/expose.ts";
import type { App, CellKind } from "../../cell/app.ts";
import type { Get } from "../../cell/stub.ts";
import { encode } from "../../client/values.ts";
import { FrondError, isFrondError } from "../../errors.ts";
import { MAX_ISSUE_LENGTH, MAX_ISSUES, MAX_RESULT_BYTES } from "../../limits.ts";
import type { RequestInfo } from "./request.ts";
import type { Session } from "./session.ts";

/** What calls from outside need of the node. */
export interface CallTarget {
  readonly app: App;
  /** A caller whose answers wait until they may be told. */
  open(): Session;
  call(session: Session, kind: CellKind, name: string, verb: string, args: unknown[]): Promise<unknown>;
  getFor(session: Session): Get;
  /** Why no call is taken now, if so. */
  refuse(): "overloaded" | "stopping" | undefined;
  readonly log: { error(fields: object, message: string): void };
  /** Under `frond dev`: refusals and failures say why. */
  readonly tell: boolean;
}

/** A call as it came. `args` are decoded already. */
export interface AskedCall {
  readonly kind: string;
  readonly name: string;
  readonly verb: string;
  readonly args: readonly unknown[];
}

/** Who calls. */
export interface Asker {
  readonly headers: Headers;
  readonly info: RequestInfo;
}

/** A failure as the client gets it. */
export interface CallFailure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly requestId?: string;
  readonly issues?: readonly { readonly path: readonly (string | number)[]; readonly message: string }[];
}

/** What becomes of a call: the result as JSON, or a failure with its HTTP status. */
export type Outcome = { readonly ok: string } | { readonly status: number; readonly error: CallFailure };

/** The checked arguments of a call, or why they cannot be used. */
type Arguments =
  | { readonly values: readonly unknown[] }
  | { readonly issues: readonly StandardSchemaV1.Issue[] }
  | { readonly failure: unknown };

/** See the head of the file. One per node whose app exposes something. */
export class ExposedCalls {
  readonly exposure: CheckedExposure;
  readonly #target: CallTarget;

  constructor(target: CallTarget, exposure: CheckedExposure) {
    this.#target = target;
    this.exposure = exposure;
  }

  /** Makes the call, if it may be made. Never rejects. */
  async answer(asked: AskedCall, asker: Asker): Promise<Outcome> {
    const refuse = this.#target.refuse();
    if (refuse !== undefined) return { status: 503, error: { ...RETRY, code: refuse.toUpperCase() } };
    const session = this.#target.open();
    const answer = new Promise<Outcome>((resolve, reject) => {
      session.fail = reject;
      this.#answer(session, asked, asker).then(resolve, reject);
    });
    const outcome = await answer.catch((error: unknown) => this.#failed(error, asked, asker));
    await session.told();
    return outcome;
  }

  async #answer(session: Session, asked: AskedCall, asker: Asker): Promise<Outcome> {
    const { kind, name, verb } = asked;
    const known = this.#target.app.kinds.get(kind);
    const schema = this.exposure.verbs.get(kind)?.get(verb);
    if (known === undefined || schema === undefined) return this.#refused(`${kind}.${verb} is not exposed`);
    const wrong = wrongName(name);
    if (wrong !== undefined) return this.#refused(wrong);
    const args = await checkArguments(schema, asked.args);
    const values = "values" in args ? args.values : undefined;
    const origin = new Origin(asker, this.#target.getFor(session));
    if (!(await this.#granted({ kind, name, verb, args: values ?? [] }, origin, values !== undefined))) {
      return this.#refused(`authorize did not say true to ${kind}/${name} ${verb}`);
    }
    if ("failure" in args) throw args.failure;
    if ("issues" in args) return badArguments(`the arguments of ${verb} are not what it takes`, args.issues);
    const result = await this.#target.call(session, known, name, verb, [...args.values]);
    return { ok: textOf(result, verb) };
  }

  /** With arguments that were refused, `authorize` may stumble over their absence: that is no failure, and no yes. */
  async #granted(call: ExposedCall, origin: CallOrigin, valid: boolean): Promise<boolean> {
    const { authorize } = this.exposure;
    try {
      return (await authorize(call, origin)) === true;
    } catch (error) {
      if (valid || isPublic(error)) throw error;
      return false;
    }
  }

  #refused(why: string): Outcome {
    return this.#target.tell ? failure(403, "REFUSED", `${REFUSED}; in dev: ${why}`) : REFUSAL;
  }

  #failed(error: unknown, { kind, name, verb }: AskedCall, { info }: Asker): Outcome {
    if (isPublic(error)) return failure(publicStatus(error), error.code, error.message);
    if (isFrondError(error) && error.retryable) return { status: 503, error: { ...RETRY, code: error.code } };
    const { requestId } = info;
    this.#target.log.error({ request: requestId, kind, name, verb, err: error }, "a call from outside failed");
    const message = this.#target.tell ? String(error) : "the call failed; the log of the server has the reason";
    return { status: 500, error: { code: "FAILED", message, retryable: false, requestId } };
  }
}

/** What `authorize` gets of who calls; what few ask for is found when it is asked for. */
class Origin implements CallOrigin {
  readonly get: Get;
  readonly headers: Headers;
  readonly #info: RequestInfo;

  constructor({ headers, info }: Asker, get: Get) {
    this.get = get;
    this.headers = headers;
    this.#info = info;
  }

  get remoteAddress(): string {
    return this.#info.remoteAddress;
  }
}

const REFUSED = "this call is not open to you, or there is no such thing";
const REFUSAL: Outcome = failure(403, "REFUSED", REFUSED);
const RETRY = { message: "this did not work now; try again", retryable: true };

/** A failure with a status. */
export function failure(status: number, code: string, message: string, retryable = false): Outcome {
  return { status, error: { code, message, retryable } };
}

/** 400: the arguments are wrong, and where. */
export function badArguments(message: string, issues: readonly StandardSchemaV1.Issue[] = []): Outcome {
  const told = issues.slice(0, MAX_ISSUES).map((issue) => ({
    path: (issue.path ?? []).map(keyOf),
    message: String(issue.message).slice(0, MAX_ISSUE_LENGTH),
  }));
  return { status: 400, error: { code: "BAD_ARGUMENTS", message, retryable: false, issues: told } };
}

function keyOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof segment === "object" ? segment.key : segment;
  return typeof key === "number" ? key : String(key);
}

async function checkArguments(schema: StandardSchemaV1 | true, args: readonly unknown[]): Promise<Arguments> {
  if (schema === true) return { values: args };
  try {
    const result = await schema["~standard"].validate(args);
    if (result.issues) return { issues: result.issues };
    if (Array.isArray(result.value)) return { values: result.value };
    return { failure: new TypeError("the schema of the arguments gave no list; it is a schema of the whole list") };
  } catch (error) {
    return { failure: error };
  }
}

/** The result as JSON. Throws RESULT_TOO_LARGE; texts that are larger by far would be more than a string can hold. */
function textOf(result: unknown, verb: string): string {
  const text = JSON.stringify(encode(result));
  if (text.length <= MAX_RESULT_BYTES) return text;
  const what = `the result of ${verb} has ${text.length} characters as JSON`;
  throw new FrondError("RESULT_TOO_LARGE", `${what}, at most ${MAX_RESULT_BYTES} are sent; answer it with fetch`);
}

function wrongName(name: string): string | undefined {
  try {
    checkName(name);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The mark that an app sets on what its clients may read. */
function isPublic(error: unknown): error is Error & { readonly code: string; readonly status?: unknown } {
  if (!(error instanceof Error)) return false;
  const { expose, code } = error as { expose?: unknown; code?: unknown };
  return expose === true && typeof code === "string";
}

/** 422 unless the error states another refusal, as errors of common HTTP libraries do. */
function publicStatus({ status }: { readonly status?: unknown }): number {
  return Number.isInteger(status) && (status as number) >= 400 && (status as number) < 500 ? (status as number) : 422;
}
