// How the pages look. One style sheet without a build: system fonts, two colour schemes, from phone to desk; and an icon.

export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#fbfaf7, #15181a);
  --panel: light-dark(#ffffff, #1d2123);
  --ink: light-dark(#1d2420, #e6e8e4);
  --soft: light-dark(#5c665f, #9aa59d);
  --line: light-dark(#e2e1da, #31373a);
  --leaf: light-dark(#1f6b45, #7fcba0);
  --wash: light-dark(#eef4ef, #22302a);
  --mark: light-dark(#fde68a, #6b5a12);
  --warn: light-dark(#fff6e0, #332a14);
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
a { color: var(--leaf); text-decoration-thickness: 1px; text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--leaf); outline-offset: 2px; border-radius: 4px; }
.top { border-bottom: 1px solid var(--line); background: var(--panel); }
.top nav, main { max-width: 62rem; margin: 0 auto; padding: 0 1rem; }
.top nav { display: flex; align-items: baseline; gap: 0 .6rem; padding-block: .7rem; }
.brand { flex: none; font-weight: 650; letter-spacing: -.01em; text-decoration: none; }
.step { display: flex; color: var(--soft); overflow-wrap: anywhere; min-width: 0; }
.step::before { content: "/"; flex: none; margin-right: .6rem; color: var(--soft); }
.step a { color: var(--ink); text-decoration: none; }
main { padding-block: 1.5rem 4rem; }
h1 { font-size: 1.45rem; line-height: 1.25; letter-spacing: -.015em; margin: 0 0 .25rem; overflow-wrap: anywhere; }
.under { color: var(--soft); margin: 0 0 1.25rem; }
form.search { display: flex; gap: .5rem; margin: 0 0 1.25rem; }
form.search input {
  flex: 1; min-width: 0; font: inherit; color: inherit; padding: .5rem .75rem;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
}
form.search input::placeholder { color: var(--soft); opacity: 1; }
form.search button, .button {
  font: inherit; font-weight: 550; padding: .5rem .9rem; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--leaf); background: var(--leaf); color: var(--ground); text-decoration: none;
}
.rows { list-style: none; margin: 0; padding: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.rows li + li { border-top: 1px solid var(--line); }
.rows a { display: grid; color: inherit; text-decoration: none; padding: .6rem .9rem; }
.rows a:hover { background: var(--wash); }
.rows a:focus-visible { outline-offset: -3px; }
.box a { grid-template-columns: minmax(0, 1fr) auto; gap: 1rem; }
.box .name { overflow-wrap: anywhere; }
.number { color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.mail a { grid-template-columns: 12rem minmax(0, 1fr) auto; gap: .1rem 1rem; grid-template-areas: "who what when" "who extract when"; }
.who { grid-area: who; font-weight: 550; }
.what { grid-area: what; }
.when { grid-area: when; color: var(--soft); font-size: .875rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.extract { grid-area: extract; color: var(--soft); font-size: .875rem; }
.who, .what, .extract { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.found .extract { white-space: normal; overflow-wrap: anywhere; }
.none { color: var(--soft); font-style: italic; font-weight: 400; }
.clip::after { content: "\\1F4CE"; font-size: .8em; margin-left: .4em; filter: grayscale(1); }
mark { background: var(--mark); color: var(--ink); border-radius: 3px; padding: 0 .1em; }
.pager { display: flex; gap: 1.25rem; margin: 1rem 0 0; }
h1 + .blank { margin-top: 1rem; }
.blank { background: var(--panel); border: 1px dashed var(--line); border-radius: 10px; padding: 2rem 1.25rem; color: var(--soft); text-align: center; }
.blank p { margin: .35rem 0; overflow-wrap: anywhere; }
.blank strong { color: var(--ink); font-weight: 600; }
dl.head { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .15rem .9rem; margin: .75rem 0 1rem; }
dl.head dt { color: var(--soft); }
dl.head dd { margin: 0; overflow-wrap: anywhere; }
dl.head details summary { cursor: pointer; }
.files { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1rem; padding: 0; }
.files a { display: block; border: 1px solid var(--line); background: var(--panel); border-radius: 8px; padding: .35rem .7rem; font-size: .9rem; text-decoration: none; overflow-wrap: anywhere; }
.files a:hover { background: var(--wash); }
.ways { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0 0 .75rem; font-size: .9rem; }
.beside { display: flex; gap: 1rem; margin-left: auto; }
.ways [aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; }
.notice { background: var(--warn); border: 1px solid var(--line); border-radius: 8px; padding: .55rem .8rem; margin: 0 0 .75rem; font-size: .9rem; }
.text {
  background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 8; font: .9rem/1.55 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
}
iframe { width: 100%; height: 72vh; min-height: 20rem; resize: vertical; border: 1px solid var(--line); border-radius: 10px; background: #fff; }
.out { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 40rem) {
  main { padding-block: 1rem 3rem; }
  h1 { font-size: 1.2rem; }
  .mail a { grid-template-columns: minmax(0, 1fr) auto; grid-template-areas: "who when" "what what" "extract extract"; }
  .text { padding: .8rem; font-size: .85rem; }
}
`;

/** Style inside the frame that shows the HTML of a message: always dark on white, as mail is written. */
export const MAIL_STYLE = `
:root { color-scheme: light; }
body { margin: 12px; background: #fff; color: #1d2420; font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
`;

/** The icon of the pages: a frond. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#2f8f5f" stroke-width="3" stroke-linecap="round"><path d="M16 30V5M16 24l-9-6M16 24l9-6M16 16l-7-5M16 16l7-5M16 9l-4-4M16 9l4-4"/></svg>`;
