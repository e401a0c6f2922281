// How the pages look. Style sheets without a build: system fonts, two colour schemes, from phone to desk.
//
// Rule: colours stand once, as names for what they are for; text on any ground has a contrast of 4.5 or more (tested).

import { MAIL_PAGES_STYLE } from "./styleMail.ts";

const BASE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f2f4ef, #121516);
  --panel: light-dark(#ffffff, #1a1e20);
  --raised: light-dark(#ffffff, #23282b);
  --ink: light-dark(#1a211c, #e8ebe6);
  --soft: light-dark(#5a655d, #9ca79f);
  --line: light-dark(#e1e5dd, #2c3236);
  --leaf: light-dark(#1c6a43, #7fcba0);
  --onleaf: light-dark(#ffffff, #0d1a13);
  --wash: light-dark(#f3f7f2, #20272a);
  --chosen: light-dark(#dcebe1, #25382e);
  --mark: light-dark(#fde68a, #6b5a12);
  --warn: light-dark(#fff5dc, #332a14);
  --bad: light-dark(#a3261b, #f2a097);
  --badground: light-dark(#fdecea, #3a1d1a);
  --star: light-dark(#c98a04, #f0c24b);
  --bar: 3.8rem;
  --shadow: 0 8px 28px light-dark(rgb(20 40 28 / .16), rgb(0 0 0 / .5));
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
a { color: var(--leaf); text-decoration-thickness: 1px; text-underline-offset: 2px; }
button, input, textarea { font: inherit; color: inherit; }
[hidden] { display: none !important; }
:focus-visible { outline: 2px solid var(--leaf); outline-offset: 2px; border-radius: 6px; }
main:focus { outline: none; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 1.3rem; line-height: 1.3; letter-spacing: -.015em; font-weight: 650; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0; padding: 0; }
kbd {
  display: inline-block; min-width: 1.6em; padding: 0 .4em; border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 5px;
  background: var(--panel); color: var(--ink); font: 600 .8em/1.6 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; text-align: center;
}
.icon { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; vertical-align: -.25em; }
.frond { width: 1.5em; height: 1.5em; flex: none; fill: none; stroke: var(--leaf); stroke-width: 3; stroke-linecap: round; }
.soft, .under, .number { color: var(--soft); }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.none { color: var(--soft); font-style: italic; font-weight: 400; }
.out { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: .5rem; top: -4rem; z-index: 9; background: var(--leaf); color: var(--onleaf); padding: .5rem 1rem; border-radius: 8px; }
.skip:focus { top: .5rem; }
.button {
  display: inline-flex; align-items: center; justify-content: center; gap: .5rem; min-height: 2.5rem; padding: .3rem 1.1rem; border-radius: 999px; cursor: pointer;
  border: 1px solid var(--leaf); background: var(--leaf); color: var(--onleaf); font-weight: 600; text-decoration: none; overflow-wrap: anywhere;
}
.button:hover { filter: brightness(1.08); }
.button.quiet { background: var(--panel); color: var(--ink); border-color: var(--line); font-weight: 500; }
.button.quiet:hover { background: var(--wash); filter: none; }
.button:focus-visible { border-radius: 999px; }
.tool {
  display: inline-grid; place-items: center; width: 2.5rem; height: 2.5rem; flex: none; padding: 0; border: 0; border-radius: 50%; background: none;
  color: var(--soft); cursor: pointer; list-style: none; text-decoration: none;
}
.tool::-webkit-details-marker { display: none; }
.tool:hover { background: var(--chosen); color: var(--ink); }
.tool:focus-visible { border-radius: 50%; outline-offset: -2px; }
.tool.off { opacity: .3; pointer-events: none; }
.plain { border: 0; background: none; padding: 0; color: var(--soft); cursor: pointer; }
.plain:hover { color: var(--ink); text-decoration: underline; }
.avatar { display: inline-grid; place-items: center; width: 2rem; height: 2rem; flex: none; border-radius: 50%; font-weight: 650; font-size: .9rem; font-style: normal; color: #fff; }
.hue-0 { background: #2f7a55; } .hue-1 { background: #9a5a16; } .hue-2 { background: #3c66a8; } .hue-3 { background: #8a4a8f; }
.hue-4 { background: #a0423c; } .hue-5 { background: #1f7680; } .hue-6 { background: #6b6a1e; } .hue-7 { background: #5b5aa6; }
.chip { display: inline-block; border: 1px solid var(--line); border-radius: 6px; padding: 0 .45em; margin-right: .4em; color: var(--soft); font-size: .8rem; font-weight: 500; letter-spacing: 0; line-height: 1.5; vertical-align: .1em; background: var(--ground); }
.notice { background: var(--warn); border-radius: 10px; padding: .55rem .9rem; margin: 0 0 .9rem; font-size: .92rem; }
mark { background: var(--mark); color: var(--ink); border-radius: 3px; padding: 0 .1em; }
.bar { position: sticky; top: 0; z-index: 5; background: var(--ground); display: flex; align-items: center; gap: .75rem; padding: .6rem 1rem; }
.brand { display: flex; align-items: center; gap: .45rem; flex: none; color: var(--ink); font-weight: 700; font-size: 1.08rem; letter-spacing: -.02em; text-decoration: none; }
form.search { position: relative; display: flex; flex: 1; min-width: 0; }
form.search .icon { position: absolute; left: .95rem; top: .72rem; color: var(--soft); pointer-events: none; }
form.search input {
  width: 100%; min-width: 0; min-height: 2.6rem; padding: .4rem 1rem .4rem 2.8rem; border: 1px solid var(--line); border-radius: 999px; background: var(--panel);
}
form.search input:focus-visible { outline-offset: -1px; border-radius: 999px; }
form.search input::placeholder { color: var(--soft); opacity: 1; }
.rows { border-top: 1px solid var(--line); }
.rows li { border-bottom: 1px solid var(--line); }
.rows li:last-child { border-bottom: 0; }
.blank { display: grid; justify-items: center; gap: .5rem; padding: 4rem 1.25rem; color: var(--soft); text-align: center; }
.blank p { overflow-wrap: anywhere; max-width: 34rem; }
.blank strong, .blank h1 { color: var(--ink); font-weight: 650; }
.blank > .icon { width: 3rem; height: 3rem; stroke-width: 1.1; opacity: .7; }
.blank .button { margin-top: .5rem; }
#toast { position: fixed; left: 50%; bottom: 1.25rem; z-index: 8; translate: -50% 0; width: max-content; max-width: calc(100vw - 2rem); }
#toast > div { display: flex; align-items: center; gap: 1rem; padding: .65rem 1.1rem; border-radius: 12px; background: light-dark(#1f2923, #e8ebe6); color: light-dark(#fff, #1a211c); box-shadow: var(--shadow); }
#toast span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; overflow-wrap: anywhere; }
#toast button { border: 0; background: none; padding: .1rem .3rem; color: light-dark(#9fe0bb, #17603b); font-weight: 650; cursor: pointer; }
#banner { position: fixed; inset: auto 0 0; z-index: 9; display: flex; justify-content: center; align-items: center; flex-wrap: wrap; gap: .4rem 1rem; padding: .6rem 1rem; background: var(--badground); color: var(--bad); border-top: 1px solid currentColor; text-align: center; }
#banner button { min-height: 2rem; border: 1px solid currentColor; background: none; border-radius: 999px; padding: 0 .9rem; cursor: pointer; }
html[data-busy]::before { content: ""; position: fixed; inset: 0 0 auto; z-index: 9; height: 3px; background: var(--leaf); animation: busy 1.6s ease-in-out infinite; }
@keyframes busy { from { clip-path: inset(0 100% 0 0); } 50% { clip-path: inset(0); } to { clip-path: inset(0 0 0 100%); } }
body.bare main { max-width: 46rem; margin: 1rem auto 3rem; padding: 1.75rem; background: var(--panel); border: 1px solid var(--line); border-radius: 16px; }
body.bare main > h1 { font-size: 1.6rem; margin-bottom: .9rem; }
body.bare .bar { position: static; max-width: 46rem; margin: 0 auto; padding: 1rem 1.75rem 0; }
body.bare .search { margin: 1.1rem 0 .7rem; }
body.bare .under { font-size: .92rem; margin-bottom: 1rem; }
.still { margin-bottom: .5rem; }
.fresh { width: 100%; margin-bottom: 1rem; }
.box button { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; align-items: center; gap: .8rem; width: 100%; padding: .5rem .25rem; border: 0; background: none; text-align: left; cursor: pointer; }
.box button:hover { background: var(--wash); }
.box .name { overflow-wrap: anywhere; }
.pages { display: flex; gap: 1rem; }
body.bare .pages { margin-top: 1rem; }
@media (max-width: 48rem) {
  .bar { padding: .5rem .6rem; gap: .4rem; }
  body.bare main { margin: .5rem 0 0; padding: 1.1rem 1rem 2rem; border-width: 1px 0; border-radius: 0; }
  body.bare .bar { position: static; padding: .7rem 1rem .2rem; }
}
@media (prefers-reduced-motion: no-preference) {
  .tool, .button, .rows a, .rows li { transition: background-color .12s; }
}
`;

/** The style sheet of all pages. */
export const STYLE = BASE + MAIL_PAGES_STYLE;

/** Style inside the frame that shows the HTML of a message: always dark on white, as mail is written. */
export const MAIL_STYLE = `
:root { color-scheme: light; }
body { margin: 16px; background: #fff; color: #1d2420; font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
`;
