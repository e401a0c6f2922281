// HTML that escapes by itself.
//
// Rule: a value that is put into `markup` is text and is escaped; only what `markup` made goes in as it is. So no page can
// forget to escape.

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

/** An attribute that is there or not: `aria-current="page"`. */
export function attribute(there: boolean, text: string): Html {
  return new Html(there ? ` ${text}` : "");
}
