// Times in the reader's own zone and language: the server, which knows neither, wrote them in UTC.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/** Rewrites all times below `root`. */
export function localTimes(root) {
  for (const element of root.querySelectorAll("time[data-form]")) {
    const time = new Date(element.dateTime);
    const forms = { full: FULL, exact: EXACT };
    element.textContent = forms[element.dataset.form]?.format(time) ?? short(time);
    element.title = FULL.format(time);
  }
}

function short(time) {
  const now = new Date();
  if (time.toDateString() === now.toDateString()) return CLOCK.format(time);
  return (time.getFullYear() === now.getFullYear() ? DAY : YEAR).format(time);
}
