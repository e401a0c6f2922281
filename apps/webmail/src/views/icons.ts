// The signs on buttons and folders: strokes on a grid of 24, drawn in the colour of the text beside them.

import { Html } from "../markup.ts";

const STROKES = {
  archive: "M4 8v11h16V8M3 4h18v4H3zM10 12h4",
  back: "M19 12H5M11 6l-6 6 6 6",
  clip: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.5 16.8a1.6 1.6 0 0 1-2.3-2.3L14.5 7",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  drafts: "M14 3H6v18h12V7zM14 3v4h4M9 12h6M9 16h6",
  forward: "M15 6l5 5-5 5M20 11H10a6 6 0 0 0-6 6v2",
  inbox: "M3 13l3-9h12l3 9v7H3zM3 13h5l1.5 3h5L16 13h5",
  mail: "M3 6h18v12H3zM3 7l9 7 9-7",
  menu: "M4 7h16M4 12h16M4 17h16",
  open: "M3 10l9-7 9 7v10H3zM3 10l9 6 9-6",
  pencil: "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19zM14 6.5l3.5 3.5",
  reply: "M9 6l-5 5 5 5M4 11h10a6 6 0 0 1 6 6v2",
  replyAll: "M7 6l-5 5 5 5M12 6l-5 5 5 5M7 11h8a6 6 0 0 1 6 6v2",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  sent: "M21 3L10 14M21 3l-7 18-4-7-7-4z",
  star: "M12 3.5l2.6 5.5 6 .8-4.4 4.2 1.1 6L12 17l-5.3 3 1.1-6L3.4 9.8l6-.8z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  up: "M6 15l6-6 6 6",
} as const;

export type IconName = keyof typeof STROKES;

/** A sign; what it means stands beside it or in the name of its button. */
export function icon(name: IconName): Html {
  return new Html(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="${STROKES[name]}"/></svg>`);
}

/** The icon of the pages: a frond. */
export const FAVICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#2f8f5f" stroke-width="3" stroke-linecap="round"><path d="M16 30V5M16 24l-9-6M16 24l9-6M16 16l-7-5M16 16l7-5M16 9l-4-4M16 9l4-4"/></svg>`;

/** The same, in a page. */
export const FROND = new Html(
  `<svg class="frond" viewBox="0 0 32 32" aria-hidden="true"><path d="M16 30V5M16 24l-9-6M16 24l9-6M16 16l-7-5M16 16l7-5M16 9l-4-4M16 9l4-4"/></svg>`,
);

/** The paper clip beside a subject: a mask, drawn by the style sheet. */
export const CLIP = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#000" stroke-width="2" stroke-linecap="round"><path d="${STROKES.clip}"/></svg>`;
