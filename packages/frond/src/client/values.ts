// Values as JSON between a client and a server, exactly: what goes in on one side comes out on the other.
//
// Rule: JSON as it stands wherever JSON can hold the value; what it cannot hold is an object with one key that begins
// with `$`: $undefined, $real (NaN, the infinities, -0), $bigint, $date, $blob (bytes), $map, $set. A plain object of that
// very shape is wrapped as {"$plain": ...}, so no value can be taken for another. What has no form is an error on the
// side where it was made, never something else on the other; so is what a stranger sends and nobody here would write.
// The control socket's form for people (server/operator/wire.ts) differs on purpose: there dates and large numbers are text.
// Rejected: superjson and devalue (a second description beside the value, and a dependency in every page).

/** Nesting of values, in levels: enough for documents, far from the end of anybody's stack. */
export const MAX_VALUE_DEPTH = 100;
/** Digits of a bigint: reading one takes time that grows faster than its length. */
export const MAX_BIGINT_DIGITS = 1_000;

/** A value that cannot be sent, or JSON that no value has. The message says which. */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

type Json = Readonly<Record<string, unknown>>;

/** The form of a value that JSON.stringify writes as it is. Throws ValueError for what has none. */
export function encode(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return leaf(depth, { $real: Object.is(value, -0) ? "-0" : String(value) });
    case "undefined":
      return leaf(depth, { $undefined: true });
    case "bigint":
      return leaf(depth, { $bigint: checkDigits(String(value)) });
    case "object":
      return value === null ? null : encodeObject(value, below(depth));
    default:
      throw new ValueError(`a ${typeof value} cannot be sent`);
  }
}

function encodeObject(value: object, depth: number): unknown {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  const part = (one: unknown): unknown => encode(one, depth);
  switch (tag) {
    case "Object":
      return encodePlain(value as Json, part);
    case "Array":
      // Not map: a hole would stay one, and become null.
      return Array.from(value as unknown[], part);
    case "Uint8Array":
      return { $blob: toBase64(value as Uint8Array) };
    case "Date": {
      const time = (value as Date).getTime();
      return { $date: Number.isNaN(time) ? null : (value as Date).toISOString() };
    }
    case "Map":
      return { $map: Array.from(value as Map<unknown, unknown>, (pair) => pair.map(part)) };
    case "Set":
      return { $set: Array.from(value as Set<unknown>, part) };
    default:
      throw new ValueError(`a value of class ${tag} cannot be sent`);
  }
}

function encodePlain(value: Json, part: (one: unknown) => unknown): unknown {
  const keys = Object.keys(value);
  const parts: Record<string, unknown> = {};
  for (const key of keys) parts[checkKey(key)] = part(value[key]);
  return isForm(keys) ? { $plain: parts } : parts;
}

/** The value of parsed JSON. Throws ValueError for forms that {@link encode} never makes. */
export function decode(json: unknown, depth = 0): unknown {
  if (typeof json !== "object" || json === null) return json;
  const inside = below(depth);
  if (Array.isArray(json)) return json.map((part) => decode(part, inside));
  const keys = Object.keys(json);
  if (!isForm(keys)) return decodePlain(json as Json, keys, inside);
  const key = keys[0] as string;
  const form = Object.hasOwn(FORMS, key) ? FORMS[key] : undefined;
  if (form === undefined) throw new ValueError(`${JSON.stringify(key.slice(0, 40))} is no form of a value`);
  return form((json as Json)[key], inside);
}

function decodePlain(json: Json, keys: readonly string[], depth: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const key of keys) value[checkKey(key)] = decode(json[key], depth);
  return value;
}

const REALS: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity, "-0": -0 };

const FORMS: Readonly<Record<string, (content: unknown, depth: number) => unknown>> = {
  $undefined: (content) => (content === true ? undefined : wrong("$undefined", "true")),
  $real(content) {
    if (typeof content === "string" && Object.hasOwn(REALS, content)) return REALS[content];
    return wrong("$real", Object.keys(REALS).join(", "));
  },
  $bigint(content) {
    if (typeof content !== "string" || !/^-?\d+$/.test(content)) return wrong("$bigint", "digits");
    return BigInt(checkDigits(content));
  },
  $date(content) {
    if (content === null) return new Date(NaN);
    const date = new Date(typeof content === "string" && ISO.test(content) ? content : NaN);
    return isWritten(date, content) ? date : wrong("$date", "a time such as 2026-01-31T12:00:00.000Z, or null");
  },
  $blob: (content) => (typeof content === "string" ? fromBase64(content) : undefined) ?? wrong("$blob", "base64"),
  $map(content, depth) {
    const isPair = (pair: unknown): pair is [unknown, unknown] => Array.isArray(pair) && pair.length === 2;
    if (!Array.isArray(content) || !content.every(isPair)) return wrong("$map", "a list of pairs");
    return new Map(content.map(([key, value]) => [decode(key, depth), decode(value, depth)]));
  },
  $set(content, depth) {
    return Array.isArray(content) ? new Set(content.map((part) => decode(part, depth))) : wrong("$set", "a list");
  },
  $plain(content, depth) {
    if (typeof content !== "object" || content === null || Array.isArray(content)) return wrong("$plain", "an object");
    return decodePlain(content as Json, Object.keys(content), depth);
  },
};

const ISO = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/;

/** JavaScript takes the 31st of February for the 3rd of March. */
function isWritten(date: Date, text: unknown): boolean {
  if (Number.isNaN(date.getTime())) return false;
  return date.toISOString().slice(0, -5) === String(text).replace(/(?:\.\d+)?Z$/, "");
}

function isForm(keys: readonly string[]): boolean {
  return keys.length === 1 && (keys[0] as string).startsWith("$");
}

// As JSON it is a level more, and counts as one when it is read.
function leaf(depth: number, form: Json): Json {
  below(depth);
  return form;
}

function below(depth: number): number {
  if (depth < MAX_VALUE_DEPTH) return depth + 1;
  throw new ValueError(`the value is nested deeper than ${MAX_VALUE_DEPTH} levels, or contains itself`);
}

// Assigned to an object, this one key would change what the object is.
function checkKey(key: string): string {
  if (key === "__proto__") throw new ValueError('an object with the key "__proto__" cannot be sent');
  return key;
}

function checkDigits(digits: string): string {
  if (digits.length <= MAX_BIGINT_DIGITS) return digits;
  throw new ValueError(`a bigint has at most ${MAX_BIGINT_DIGITS} digits here`);
}

function wrong(form: string, wanted: string): never {
  throw new ValueError(`{"${form}"} holds ${wanted}`);
}

/** Arguments of one call that are not too many for the stack. */
const CHUNK = 0x2000;

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array | undefined {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return undefined;
  }
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
