// HTML that strangers sent, made harmless to show and readable as text.
//
// Rule: what is shown names nothing outside of the message. sanitize-html keeps a list of tags, attributes and style
// properties and drops all others; pictures stay only as bytes that came with the message; style values may not call
// anything but rgb(). What would have been fetched is counted, so the page can say that it was blocked. A Content
// Security Policy and a sandboxed frame stand behind this (pages.ts): either wall alone would do.
// Rejected: a list of bad things to remove (there is always one more), fetching pictures for the reader (tells the
// sender that, when and where the message was read).

import sanitizeHtml, { type IOptions } from "sanitize-html";

/** Longest HTML that is worked on, in characters: the rest is cut off, and the result says so. */
export const MAX_HTML = 2 * 1024 * 1024;
/** Deepest nesting that is kept. */
const MAX_NESTING = 128;
/** Most tags that may be open at once, kept or not: the parser walks over all of them with each tag that comes. */
const MAX_OPEN_TAGS = 4096;

/** HTML fit for showing in a frame. */
export interface SafeHtml {
  readonly html: string;
  /** How many things the message wanted from elsewhere (pictures, backgrounds, style sheets). */
  readonly blocked: number;
  /** The message was longer than MAX_HTML, or had more than MAX_OPEN_TAGS open at once: then its end is left out. */
  readonly cut: boolean;
}

/** A picture that came with the message. */
export interface Picture {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const BLOCKS =
  "address article aside blockquote br center dd div dl dt figure footer form h1 h2 h3 h4 h5 h6 header hr li main " +
  "nav ol p pre section table tbody td tfoot th thead tr ul caption";
const INLINES =
  "a abbr b big cite code del em font i img ins kbd mark q s samp small span strike strong sub sup tt u var";
const SHOWN_TAGS = `${BLOCKS} ${INLINES}`.split(" ").filter((tag) => tag !== "form");
const HIDDEN_TEXT = ["script", "style", "textarea", "option", "xmp", "title", "noscript"];

// Letters, digits and signs, and of functions rgb() alone: no url(), no image-set(), no escapes that spell them.
const STYLE_VALUE = [/^(?:rgba?\([\d\s.,%]+\)|[\w\s#%.,'"!+-])+$/i];
const STYLE_PROPERTIES =
  "color background-color font-family font-size font-style font-weight font-variant line-height letter-spacing " +
  "text-align text-decoration text-indent text-transform vertical-align white-space width max-width height " +
  "padding padding-top padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom " +
  "margin-left border border-top border-right border-bottom border-left border-color border-style border-width " +
  "border-collapse border-spacing list-style-type";

const SHOWN: IOptions = {
  allowedTags: SHOWN_TAGS,
  nonTextTags: HIDDEN_TEXT,
  nestingLimit: MAX_NESTING,
  allowedAttributes: {
    "*": ["align", "bgcolor", "dir", "lang", "style", "title", "valign"],
    a: ["href", "rel", "target"],
    font: ["color", "face", "size"],
    img: ["alt", "height", "src", "width"],
    li: ["value"],
    ol: ["start", "type"],
    table: ["border", "cellpadding", "cellspacing", "height", "width"],
    td: ["colspan", "height", "nowrap", "rowspan", "width"],
    th: ["colspan", "height", "nowrap", "rowspan", "width"],
    tr: ["height"],
  },
  allowedSchemes: ["http", "https", "mailto"],
  allowedSchemesByTag: { img: ["data"] },
  allowedSchemesAppliedToAttributes: ["href", "src"],
  allowProtocolRelative: false,
  allowedStyles: { "*": Object.fromEntries(STYLE_PROPERTIES.split(" ").map((property) => [property, STYLE_VALUE])) },
};

const TEXT_ONLY: IOptions = {
  allowedTags: BLOCKS.split(" "),
  allowedAttributes: {},
  nonTextTags: HIDDEN_TEXT,
  nestingLimit: MAX_NESTING,
  textFilter: (text) => text.replace(/\s+/g, " "),
};

const FETCHED_ATTRIBUTES = ["src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc"];
const ELSEWHERE = /^\s*(?:[a-z][a-z0-9+.-]*:)?\/\//i;
const CALLS_URL = /url\s*\(|image-set\s*\(/i;
// Pictures that a browser only draws. SVG is left out: it is a document.
const DRAWN = /^image\/(?:png|jpeg|gif|webp|bmp|x-icon)$/;

/** The HTML of a message with everything left out that runs, posts or fetches. `pictures`: by Content-ID. */
export function safeHtml(html: string, pictures: ReadonlyMap<string, Picture>): SafeHtml {
  let blocked = 0;
  const { clean, cut } = sanitized(html, () => {
    blocked = 0;
    return {
      ...SHOWN,
      transformTags: transformations(pictures),
      onOpenTag: (tag, attributes) => {
        if (fetches(tag, attributes)) blocked++;
      },
    };
  });
  return { html: clean, blocked, cut };
}

/** What a person would read in the HTML: text, blocks on lines of their own. */
export function textOfHtml(html: string): string {
  if (html === "") return "";
  return (
    sanitized(html, () => TEXT_ONLY)
      .clean
      // What is left between angles is a tag without attributes: text has none, they are escaped there.
      .replace(/(?: ?<[^>]*> ?)+/g, "\n")
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&amp;", "&")
      .trim()
  );
}

function transformations(pictures: ReadonlyMap<string, Picture>): NonNullable<IOptions["transformTags"]> {
  return {
    a: (tagName, attributes) => ({
      tagName,
      attribs: { ...attributes, target: "_blank", rel: "noopener noreferrer nofollow" },
    }),
    img: (tagName, attributes) => {
      const src = pictureSource(attributes["src"] ?? "", pictures);
      if (src !== undefined) return { tagName, attribs: { ...attributes, src } };
      return { tagName: "span", attribs: {}, text: attributes["alt"] ? `[${attributes["alt"]}]` : "" };
    },
  };
}

class TooDeep extends Error {
  override readonly name = "TooDeep";
}

// As much of the HTML as is neither too long nor too deep, sanitised. `optionsOf` is asked anew for each attempt.
function sanitized(html: string, optionsOf: () => IOptions): { clean: string; cut: boolean } {
  for (let length = Math.min(html.length, MAX_HTML); ; length = Math.floor(length / 2)) {
    const options = optionsOf();
    let open = 0;
    try {
      const clean = sanitizeHtml(html.slice(0, length), {
        ...options,
        onOpenTag: (tag, attributes) => {
          if (++open > MAX_OPEN_TAGS) throw new TooDeep();
          options.onOpenTag?.(tag, attributes);
        },
        onCloseTag: () => open--,
      });
      return { clean, cut: length < html.length };
    } catch (error) {
      if (!(error instanceof TooDeep)) throw error;
    }
  }
}

function fetches(tag: string, attributes: Record<string, string>): boolean {
  if (tag === "link" && ELSEWHERE.test(attributes["href"] ?? "")) return true;
  if (CALLS_URL.test(attributes["style"] ?? "")) return true;
  return FETCHED_ATTRIBUTES.some((name) => ELSEWHERE.test(attributes[name] ?? ""));
}

function pictureSource(src: string, pictures: ReadonlyMap<string, Picture>): string | undefined {
  if (!/^cid:/i.test(src)) return undefined;
  const picture = pictures.get(decodeCid(src.slice("cid:".length)));
  if (picture === undefined || !DRAWN.test(picture.type)) return undefined;
  return `data:${picture.type};base64,${Buffer.from(picture.bytes).toString("base64")}`;
}

function decodeCid(cid: string): string {
  try {
    return decodeURIComponent(cid);
  } catch {
    return cid;
  }
}
