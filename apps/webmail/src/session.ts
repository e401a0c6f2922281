// Who is asking: a signed cookie that names a mailbox. And whether a page of ours asked.
//
// Rule: a session opens exactly one mailbox; its cookie is believed only with a signature made with this server's secret
// (keys.ts) and only until it expires. What changes anything is asked by POST and done only for pages of this server:
// browsers say where a request comes from, and what says nothing is refused.
// A demo: there is no password, and the page says so. Everything behind the cookie is meant as in earnest.

import { createHmac, timingSafeEqual } from "node:crypto";

const COOKIE = "frond_mail";
/** How long a session lasts, in seconds: 30 days. */
export const SESSION_SECONDS = 30 * 24 * 3600;
/** Longest cookie that is looked at, in characters. */
const MAX_COOKIE = 4096;

/** Makes sessions and reads them. */
export class Sessions {
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /** The Set-Cookie that opens the mailbox `name`. `now`: ms since 1970. */
  open(name: string, now: number): string {
    const until = Math.floor(now / 1000) + SESSION_SECONDS;
    const signed = `${Buffer.from(name).toString("base64url")}.${until}`;
    return `${COOKIE}=${signed}.${this.#sign(signed)}; Path=/; Max-Age=${SESSION_SECONDS}; HttpOnly; SameSite=Lax`;
  }

  /** The mailbox that a request may open, or undefined. */
  nameOf(request: Request, now: number): string | undefined {
    const value = cookieOf(request.headers.get("cookie") ?? "");
    const match = /^([\w-]+)\.(\d{1,12})\.([\w-]{43})$/.exec(value);
    if (match === null) return undefined;
    const [, name = "", until = "", signature = ""] = match;
    const right = Buffer.from(this.#sign(`${name}.${until}`));
    if (!timingSafeEqual(right, Buffer.from(signature)) || Number(until) * 1000 <= now) return undefined;
    return Buffer.from(name, "base64url").toString();
  }

  #sign(text: string): string {
    return createHmac("sha256", this.#secret).update(text).digest("base64url");
  }
}

/** The Set-Cookie that ends a session. */
export const CLOSE_SESSION = `${COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`;

/** True if a page of this server sent the request, as far as its browser says. */
export function isOwnPage(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  if (site !== null && site !== "same-origin") return false;
  if (origin === null) return site === "same-origin";
  // A proxy may speak TLS for this server: the hosts must agree, not the schemes.
  return URL.canParse(origin) && new URL(origin).host === new URL(request.url).host;
}

function cookieOf(header: string): string {
  for (const part of header.slice(0, MAX_COOKIE).split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === COOKIE) return value ?? "";
  }
  return "";
}
