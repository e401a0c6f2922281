// How the pages within a mailbox look: folders, lists, a message, the writing of one.

export const MAIL_PAGES_STYLE = `
body.boxed { min-height: 100dvh; display: flex; flex-direction: column; }
.boxed .search { max-width: 46rem; margin: 0 auto; }
.menu { display: none; }
.frame { display: grid; grid-template-columns: 13.5rem minmax(0, 1fr); flex: 1; padding: 0 1rem 1rem 0; }
.boxed .brand { width: 12rem; }
.boxed main { background: var(--panel); border: 1px solid var(--line); border-radius: 16px; min-width: 0; }
.shade { display: none; }
.places { position: sticky; top: var(--bar); align-self: start; padding: .25rem .75rem 1rem; }
.places ul { margin: .9rem 0; }
.places a:not(.button) { display: flex; align-items: center; gap: .8rem; min-height: 2.35rem; padding: .2rem .9rem; border-radius: 999px; color: var(--ink); text-decoration: none; }
.places li a > .icon { color: var(--soft); }
.places li a:hover { background: light-dark(#e6ebe4, #1f2528); }
.places [aria-current] { background: var(--chosen); font-weight: 650; }
.places a:focus-visible { border-radius: 999px; }
.places [aria-current] > .icon { color: var(--leaf); }
.places .count { margin-left: auto; font-size: .85rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.write { min-height: 3rem; padding: .4rem 1.4rem; box-shadow: 0 2px 8px light-dark(rgb(20 60 38 / .18), rgb(0 0 0 / .3)); }
.keys { padding: 0 .9rem; font-size: .85rem; }
.me { position: relative; flex: none; }
.me > summary { list-style: none; cursor: pointer; border-radius: 50%; }
.me > summary::-webkit-details-marker { display: none; }
.me > summary:focus-visible { border-radius: 50%; }
.me .avatar { width: 2.4rem; height: 2.4rem; }
.panel { position: absolute; right: 0; top: calc(100% + .4rem); z-index: 6; width: 18rem; max-width: calc(100vw - 1.5rem); padding: 1rem; background: var(--raised); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow); }
.me .address { font-weight: 650; overflow-wrap: anywhere; }
.me .soft { font-size: .88rem; margin: .3rem 0 .8rem; }
.me .ways { display: flex; flex-wrap: wrap; gap: .5rem; }
.list { display: flex; flex-direction: column; }
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .75rem; padding: .9rem 1.1rem .6rem; }
.head .under { font-size: .9rem; flex: 1; }
.head .all { align-self: center; }
.head .pages { font-size: .92rem; }
.bulk { position: sticky; top: var(--bar); z-index: 3; display: flex; align-items: center; gap: .1rem; padding: 0 .7rem .4rem; background: var(--panel); }
.bulk .chosen { margin-left: .5rem; color: var(--soft); font-size: .88rem; }
.bulk .empty { margin-left: auto; }
.list:not(:has(.tick input:checked)) .bulk > :not(.empty, .chosen) { opacity: .38; }
input[type=checkbox] { width: 1.05rem; height: 1.05rem; margin: 0; accent-color: var(--leaf); cursor: pointer; }
.mail { position: relative; display: grid; grid-template-columns: 2.4rem 2.2rem minmax(0, 1fr); align-items: center; padding-left: .6rem; }
.mails.drafts .mail { grid-template-columns: minmax(0, 1fr); padding-left: .5rem; }
.mail:hover { background: var(--wash); }
.mail:has(.tick input:checked) { background: var(--chosen); }
.mail:has(.row:focus-visible) { background: var(--wash); box-shadow: inset 3px 0 0 var(--leaf); }
.tick { display: grid; place-items: center; height: 100%; min-height: 2.8rem; cursor: pointer; }
.star { width: 2.2rem; height: 2.2rem; }
.star[aria-pressed=true] { color: var(--star); }
.star[aria-pressed=true] .icon { fill: var(--star); }
.row { display: grid; grid-template-columns: auto 11rem minmax(4rem, max-content) minmax(0, 1fr) auto; align-items: center; gap: .75rem; min-height: 2.9rem; padding: .3rem 1.1rem .3rem .3rem; color: inherit; text-decoration: none; }
.row:focus-visible { outline-offset: -2px; }
.who, .what, .extract { position: relative; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.who, .what, .extract { text-align: left; }
.what { max-width: 34vw; }
.extract { color: var(--soft); }
.row time { color: var(--soft); font-size: .88rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.due { display: inline-flex; align-items: center; gap: .3rem; color: var(--leaf); font-size: .88rem; }
.due time { color: inherit; }
.unread .who, .unread .what, .unread time { font-weight: 680; color: var(--ink); }
.unread::before { content: ""; position: absolute; left: .25rem; top: calc(50% - .22rem); width: .44rem; height: .44rem; border-radius: 50%; background: var(--leaf); }
.clip::after { content: ""; display: inline-block; width: .95em; height: .95em; margin-left: .4em; vertical-align: -.1em; background: var(--soft); mask: url(/clip.svg) center / contain no-repeat; }
.found .row { align-items: start; grid-template-columns: auto 11rem minmax(0, 1fr) auto; grid-template-areas: "face who what when" "face who extract when"; row-gap: 0; padding-block: .5rem; }
.found .row > .avatar { grid-area: face; } .found .who { grid-area: who; } .found .what { grid-area: what; max-width: none; }
.found .extract { grid-area: extract; white-space: normal; overflow-wrap: anywhere; font-size: .92rem; } .found .row > time, .found .due { grid-area: when; }
.found .mail { align-items: start; } .found .tick { height: auto; min-height: 3rem; } .found .star { margin-top: .4rem; } .found .unread::before { top: 1.3rem; }
.reading { padding: 0 1.6rem 2rem; }
.toolbar { position: sticky; top: var(--bar); z-index: 3; display: flex; align-items: center; gap: .1rem; margin: 0 -1rem; padding: .5rem 0; background: var(--panel); border-radius: 16px 16px 0 0; }
.beside { display: flex; margin-left: auto; }
.reading h1 { margin: .4rem 0 1rem; font-size: 1.45rem; max-height: 7.15em; overflow-y: auto; text-align: left; }
.sender { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: .1rem .9rem; align-items: start; margin-bottom: 1rem; }
.sender .avatar { width: 2.6rem; height: 2.6rem; font-size: 1.05rem; }
.from { min-width: 0; overflow-wrap: anywhere; }
.sender .to, .sender .sent { font-size: .9rem; }
.to > * { display: inline; }
.to details { display: inline-block; vertical-align: top; max-width: calc(100% - 2rem); }
.to details summary { cursor: pointer; }
.files { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1rem; }
.files:empty { display: none; }
.files li { display: flex; align-items: center; max-width: 100%; border: 1px solid var(--line); border-radius: 10px; background: var(--ground); }
.files a { display: flex; align-items: center; gap: .45rem; min-width: 0; padding: .4rem .8rem; color: inherit; text-decoration: none; font-size: .92rem; overflow-wrap: anywhere; }
.files a:hover span:first-of-type { text-decoration: underline; }
.files .tool { width: 2rem; height: 2rem; }
.forms { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0 0 .9rem; font-size: .88rem; }
.answers .raw { margin-left: auto; color: var(--soft); font-size: .88rem; }
.forms a { color: var(--soft); } .forms a:hover { color: var(--ink); }
.forms [aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; }
.text { unicode-bidi: plaintext; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 8; padding: 1.2rem max(0px, 100% - 78ch) .5rem 0; border-top: 1px solid var(--line); font-size: 1rem; line-height: 1.6; }
.text .q { color: var(--soft); }
iframe { display: block; width: 100%; height: 68vh; min-height: 20rem; resize: vertical; border: 1px solid var(--line); border-radius: 12px; background: #fff; }
.answers { display: flex; flex-wrap: wrap; align-items: center; gap: .6rem; margin-top: 1.5rem; }
.drop { position: relative; }
.drop .panel { right: auto; left: 0; width: 16rem; padding: .6rem; }
.drop .panel .soft { padding: 0 .6rem .3rem; font-size: .85rem; }
.choice { display: block; width: 100%; padding: .45rem .6rem; border: 0; border-radius: 8px; background: none; text-align: left; cursor: pointer; }
.choice:hover { background: var(--chosen); }
.exact { display: grid; grid-template-columns: minmax(0, 1fr); gap: .5rem; padding: .6rem .6rem .2rem; margin-top: .4rem; border-top: 1px solid var(--line); font-size: .9rem; }
.exact input { width: 100%; min-width: 0; padding: .35rem .5rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
.compose { display: flex; flex-direction: column; min-height: 100%; padding: 0 1.4rem 1.2rem; }
.compose .head { padding: .9rem 0 .6rem; }
.compose .under { flex: none; margin-left: auto; }
.problem { background: var(--badground); color: var(--bad); border-radius: 10px; padding: .6rem .9rem; margin-bottom: .8rem; overflow-wrap: anywhere; }
.sheet { display: flex; flex-direction: column; flex: 1; }
.line { display: flex; align-items: baseline; gap: .75rem; border-bottom: 1px solid var(--line); }
.line:focus-within { border-color: var(--leaf); box-shadow: 0 1px 0 var(--leaf); }
.line span { width: 3.8rem; flex: none; color: var(--soft); font-size: .92rem; }
.line input { flex: 1; min-width: 0; padding: .6rem 0; border: 0; background: none; outline: none; }
.compose textarea { flex: 1; min-height: 19rem; padding: 1rem 0; border: 0; outline: none; resize: none; background: none; line-height: 1.55; }
.ends { position: sticky; bottom: 0; display: flex; flex-wrap: wrap; align-items: center; gap: .6rem; padding: .7rem 0 .2rem; background: var(--panel); }
.ends .tool { margin-left: auto; }
#adder:focus-within { outline: 2px solid var(--leaf); outline-offset: 2px; }
.compose.dragging .sheet { outline: 2px dashed var(--leaf); outline-offset: .4rem; border-radius: 8px; }
.past { padding: 0 1.1rem 1.5rem; }
.past > .head { padding: .9rem 0 .6rem; }
.past .lead { max-width: 44rem; margin-bottom: .9rem; font-size: .92rem; }
.past .answers { gap: .6rem .9rem; font-size: .92rem; }
.done { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; }
.state { display: grid; grid-template-columns: minmax(0, 16rem) minmax(0, 20rem) minmax(0, 1fr); gap: 0 1rem; align-items: baseline; min-height: 2.7rem; margin: 0 -.6rem; padding: .55rem .6rem; border-radius: 8px; color: inherit; text-decoration: none; }
.state:hover { background: var(--wash); }
.state:focus-visible { outline-offset: -2px; }
.change { color: var(--leaf); font-weight: 600; font-size: .92rem; }
.changes { display: grid; gap: .8rem; margin: .2rem 0 1.2rem; max-width: 44rem; }
.changes > li { border-left: 3px solid var(--line); padding-left: .9rem; overflow-wrap: anywhere; }
.changes > .back { border-color: var(--leaf); } .changes > .gone { border-color: var(--bad); }
.changes ul { color: var(--soft); font-size: .92rem; }
dialog { width: min(46rem, calc(100vw - 2rem)); padding: 1.4rem; border: 1px solid var(--line); border-radius: 16px; background: var(--raised); color: var(--ink); box-shadow: var(--shadow); }
dialog::backdrop { background: rgb(0 0 0 / .4); }
dialog form { display: flex; justify-content: space-between; align-items: center; margin-bottom: .6rem; }
dialog h2 { font-size: 1.2rem; } dialog h3 { font-size: .85rem; color: var(--soft); margin-bottom: .4rem; font-weight: 600; }
.groups { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1.4rem; }
.groups dl { margin: 0; } .groups dl div { display: flex; gap: .8rem; padding: .2rem 0; } .groups dt { width: 4.2rem; flex: none; display: flex; gap: .25rem; } .groups dd { margin: 0; }
@media (max-width: 64rem) {
  .mails.found .row { grid-template-columns: auto minmax(0, 1fr) auto; grid-template-areas: "face who when" "face what what" "face extract extract"; }
  .row { grid-template-columns: auto 9rem minmax(0, 1fr) auto; grid-template-areas: "face who what when" "face who extract when"; row-gap: 0; padding-block: .5rem; }
  .row > .avatar { grid-area: face; } .who { grid-area: who; } .what { grid-area: what; max-width: none; } .extract { grid-area: extract; font-size: .92rem; } .row > time, .row > .due { grid-area: when; }
}
@media (max-width: 48rem) {
  .menu { display: inline-grid; }
  .boxed .brand { width: auto; } .boxed .brand span { display: none; }
  .frame { grid-template-columns: minmax(0, 1fr); padding: 0; }
  .boxed main { border-width: 1px 0 0; border-radius: 0; }
  .places { position: fixed; inset: 0 auto 0 0; align-self: stretch; z-index: 7; width: 17rem; max-width: 82vw; padding: 1rem; background: var(--ground); box-shadow: var(--shadow); overflow-y: auto; visibility: hidden; translate: -105% 0; transition: translate .16s, visibility .16s; }
  .places:target { visibility: visible; translate: 0 0; }
  .places:target + .shade { display: block; position: fixed; inset: 0; z-index: 6; background: rgb(0 0 0 / .4); }
  .places li a { min-height: 2.8rem; }
  .keys { display: none; }
  .mail { grid-template-columns: minmax(0, 1fr) 2.4rem; padding-left: 0; }
  .mails:not(.drafts) .tick { position: absolute; left: 0; top: 0; width: 3.2rem; z-index: 1; }
  .tick input { opacity: 0; width: 2rem; height: 2rem; }
  .mail:has(.tick input:checked) .row > .avatar { background: var(--leaf); font-size: 0; }
  .tick:has(input:focus-visible) { outline: 2px solid var(--leaf); outline-offset: -4px; border-radius: 50%; }
  .mail .star { grid-column: 2; grid-row: 1; align-self: end; z-index: 1; }
  .mail:has(.tick input:checked) .row > .avatar::after { content: "\\2713"; font-size: 1.1rem; color: var(--onleaf); }
  .drop .panel { position: fixed; inset: auto .6rem .6rem; width: auto; max-width: none; }
  .found .extract { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; }
  .row, .found .row { grid-column: 1 / -1; grid-row: 1; grid-template-columns: auto minmax(0, 1fr) auto; grid-template-areas: "face who when" "face what what" "face extract extract"; gap: 0 .8rem; padding: .65rem .9rem .65rem 1rem; }
  .row > .avatar { width: 2.4rem; height: 2.4rem; align-self: start; }
  .what, .extract { padding-right: 1.8rem; }
  .unread::before { left: .35rem; top: 1.65rem; }
  .head { padding: .7rem 1rem .5rem; align-items: center; }
  .list .under { order: 1; flex-basis: 100%; }
  .list .pages { margin-left: auto; }
  .list:not(:has(.tick input:checked)) .bulk:not(:has(.empty)) { display: none; }
  .list:not(:has(.tick input:checked)) .bulk > :not(.empty) { display: none; }
  .reading { padding: 0 1rem 2rem; }
  .toolbar { margin: 0 -.6rem; }
  .toolbar .tool { width: 2.3rem; }
  .reading h1 { font-size: 1.2rem; }
  .sender { grid-template-columns: auto minmax(0, 1fr); }
  .sender .sent { grid-column: 2; }
  .compose { padding: 0 1rem 1rem; }
  .ends #keep { display: none; }
  .past { padding: 0 1rem 2rem; }
  .past .under { flex-basis: 100%; }
  .state { grid-template-columns: minmax(0, 1fr); }
}
`;
