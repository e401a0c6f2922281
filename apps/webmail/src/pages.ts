// The HTTP side: who asks, which mailbox they are in, and which part of the app answers.
//
// Rule: a path below /mailbox/NAME is answered only with a session for NAME, and this is the one place that decides it;
// behind it no code names another mailbox. Reading creates nothing. What changes something comes by POST and from a page
// of this server (session.ts).

import { type FetchContext, FrondError, type Get } from "frond";
import { usableAddress } from "./addresses.ts";
import { failure, html, json, seeOther, text } from "./answers.ts";
import { readClient } from "./client.ts";
import { Delivery } from "./delivery.ts";
import { DIRECTORY_NAME, Directory } from "./directory.ts";
import { Keys, KEYS_NAME } from "./keys.ts";
import { boxLink } from "./links.ts";
import { actInBox } from "./boxActions.ts";
import { readInBox } from "./boxPages.ts";
import { Mailbox } from "./mailbox.ts";
import { CLOSE_SESSION, isOwnPage, Sessions } from "./session.ts";
import type { Settings } from "./settings.ts";
import { STYLE } from "./style.ts";
import { CLIP, FAVICON } from "./views/icons.ts";
import { doorView, pickView } from "./views/pick.ts";
import { barePage } from "./views/shell.ts";
import { cleanTyped, formOf, pathParts, textParameter, wantsJson } from "./visit.ts";
import { welcomeLetter } from "./welcome.ts";

/** Mailboxes on a page. */
const MAILBOXES_PER_PAGE = 60;

/** The front door of the mail app. */
export class FrontDoor {
  readonly #settings: Settings;
  #sessions: Promise<Sessions> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Answers a request. */
  async answer(request: Request, context: FetchContext): Promise<Response> {
    try {
      const url = new URL(request.url);
      return (
        (await this.#route(request, url, context)) ??
        failure(request, 404, "Not here", "There is nothing at this address.")
      );
    } catch (error) {
      if (!(error instanceof FrondError)) throw error;
      if (error.code === "BAD_ADDRESS")
        return failure(request, 404, "Not here", "This cannot be the name of a mailbox.");
      if (!error.retryable) throw error;
      const advice = "The server is busy or stopping. Try again in a moment.";
      return failure(request, 503, "Not just now", advice, { "retry-after": "1" });
    }
  }

  async #route(request: Request, url: URL, context: FetchContext): Promise<Response | undefined> {
    const { get } = context;
    const { method } = request;
    const reads = method === "GET" || method === "HEAD";
    if (!reads && method !== "POST") {
      return failure(request, 405, "Not that way", "This server answers GET, HEAD and POST.", {
        allow: "GET, HEAD, POST",
      });
    }
    if (!reads && !isOwnPage(request)) {
      return failure(request, 403, "Refused", "Another site asked for this change. Use the buttons of this one.");
    }
    const [first = "", second, ...rest] = pathParts(url.pathname);
    if (first === "mailbox" && second !== undefined && second !== "") {
      return this.#inBox(request, url, context, second, rest);
    }
    if (rest.length > 0) return undefined;
    if (reads && second === undefined) return this.#plain(first, request, url, get);
    if (reads && first === "client" && second !== undefined) return readClient(second);
    if (!reads && first === "login" && second === undefined) return this.#login(request, get);
    if (!reads && first === "logout" && second === undefined) return seeOther("/", { "set-cookie": CLOSE_SESSION });
    return undefined;
  }

  async #plain(first: string, request: Request, url: URL, get: Get): Promise<Response | undefined> {
    if (first === "") return this.#pick(request, url, get);
    if (first === "style.css") return text(STYLE, "text/css; charset=utf-8");
    if (first === "icon.svg") return text(FAVICON, "image/svg+xml");
    if (first === "clip.svg") return text(CLIP, "image/svg+xml");
    if (first === "totals") return json(await get(Directory, DIRECTORY_NAME).totals());
    return undefined;
  }

  async #inBox(
    request: Request,
    url: URL,
    context: FetchContext,
    name: string,
    path: readonly string[],
  ): Promise<Response | undefined> {
    const { get } = context;
    const self = (await this.#sessionsOf(get)).nameOf(request, Date.now());
    if (self !== name) return this.#refuse(request, url, get, name, self);
    const visit = { request, url, path, get, context, name, mailbox: get(Mailbox, name) };
    return request.method === "POST" ? actInBox(visit) : readInBox(visit);
  }

  async #refuse(request: Request, url: URL, get: Get, name: string, self: string | undefined): Promise<Response> {
    const status = self === undefined ? 401 : 403;
    if (wantsJson(request) || request.method === "POST") {
      return failure(
        request,
        status,
        "Not your mailbox",
        `You are not signed in as ${name}. Reload the page to sign in.`,
      );
    }
    const known = (await get(Directory, DIRECTORY_NAME).known([name])).length > 0;
    const next = `${url.pathname}${url.search}`;
    return html(barePage(known ? name : "Not here", doorView(name, next, self, known)), known ? status : 404);
  }

  async #pick(request: Request, url: URL, get: Get): Promise<Response> {
    const directory = get(Directory, DIRECTORY_NAME);
    const typed = textParameter(url, "q").trim().toLowerCase();
    const after = textParameter(url, "after");
    const asked = MAILBOXES_PER_PAGE + 1;
    const everything = typed === "" && after === "";
    const address = this.#newAddress(typed);
    const [totals, matching, found, taken, sessions] = await Promise.all([
      directory.totals(),
      directory.totalsOf(typed),
      everything ? directory.fullest(asked) : directory.find(typed, after, asked),
      directory.known(address === undefined ? [] : [address]),
      this.#sessionsOf(get),
    ]);
    const entries = found.slice(0, MAILBOXES_PER_PAGE);
    // The fullest mailboxes are no place in the order of names: there is nothing to continue after them.
    const more = !everything && found.length > entries.length;
    const fresh = taken.length === 0 ? address : undefined;
    const self = sessions.nameOf(request, Date.now());
    const body = pickView(entries, { typed, totals, matching, fullest: everything, more, fresh, self });
    return html(barePage(typed === "" ? "Mailboxes" : typed, body));
  }

  async #login(request: Request, get: Get): Promise<Response> {
    const form = await formOf(request);
    if (form === undefined) return failure(request, 400, "Not understood", "This is not what the form sends.");
    const create = form.get("create");
    const name = cleanTyped(create ?? form.get("name") ?? "", 512);
    const known = (await get(Directory, DIRECTORY_NAME).known([name])).length > 0;
    if (!known) {
      if (create === null || name === "" || this.#newAddress(name) !== name)
        return seeOther(`/?${new URLSearchParams({ q: name })}`);
      await new Delivery(get).deliver(welcomeLetter(name, Date.now()), [name]);
    }
    const sessions = await this.#sessionsOf(get);
    const home = boxLink(name);
    const next = form.get("next") ?? "";
    // Only on into the same mailbox: a form could have been sent with any address in it.
    const there = next === home || next.startsWith(`${home}/`) || next.startsWith(`${home}?`) ? next : home;
    return seeOther(there, { "set-cookie": sessions.open(name, Date.now()) });
  }

  // The mailbox that could be made of what was typed: a name alone gets a domain.
  #newAddress(typed: string): string | undefined {
    const { domains } = this.#settings;
    const domain = domains === undefined ? DEMO_DOMAIN : [...domains][0];
    const address = usableAddress(typed.includes("@") ? typed : `${typed}@${domain}`);
    const allowed = address !== undefined && (domains?.has(address.slice(address.lastIndexOf("@") + 1)) ?? true);
    return allowed ? address : undefined;
  }

  #sessionsOf(get: Get): Promise<Sessions> {
    this.#sessions ??= get(Keys, KEYS_NAME)
      .secret()
      .then(
        (secret) => new Sessions(secret),
        (error: unknown) => {
          this.#sessions = undefined;
          throw error;
        },
      );
    return this.#sessions;
  }
}

/** The domain of new mailboxes where the settings name none. */
const DEMO_DOMAIN = "demo.example";
