// HTML that escapes by itself, and the frame that every page stands in.
//
// Rule: a value that is put into `markup` is text and is escaped; only what `markup` made goes in as it is. So no page can
// forget to escape. Every answer carries a Content Security Policy under which nothing runs and nothing is fetched but
// this server's own style sheet and icon.

/** Finished HTML. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What can stand in a template. `undefined` and `false` leave nothing. */
export type Part = Html | string | number | undefined | false | readonly Part[];

/** HTML from a template; all values are escaped except Html. */
export function markup(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(strings.reduce((text, string, i) => text + render(parts[i - 1]) + string));
}

function render(part: Part): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return escapeText(String(part));
}

/** Text as HTML that shows it, in an element or in a quoted attribute. */
export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** An address that a narrow page breaks after its signs, not in the middle of a word. */
export function breakable(address: string): Html {
  return new Html(escapeText(address).replace(/[@.]/g, "$&<wbr>"));
}

const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Headers of every answer. */
export const COMMON_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": PAGE_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

/** A whole page. `trail` are the places above it: text and link. */
export function page(title: string, trail: readonly (readonly [string, string])[], body: Html, status = 200): Response {
  const steps = trail.map(([text, href]) => markup`<span class="step"><a href="${href}">${breakable(text)}</a></span>`);
  const document = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · frond webmail</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header class="top"><nav aria-label="Where you are"><a class="brand" href="/">frond webmail</a>${steps}</nav></header>
<main>
${body}
</main>
</body>
</html>
`;
  return new Response(document.text, {
    status,
    headers: { ...COMMON_HEADERS, "content-type": "text/html; charset=utf-8" },
  });
}
