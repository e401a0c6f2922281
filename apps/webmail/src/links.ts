// Addresses of the pages.

/** Link to a mailbox, or to something in it. */
export function boxLink(name: string, ...rest: (string | number)[]): string {
  return ["/mailbox", name, ...rest].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join("/");
}

/** A link with a query; empty values are left out. */
export function withQuery(link: string, query: Record<string, string>): string {
  const there = Object.entries(query).filter(([, value]) => value !== "");
  return there.length === 0 ? link : `${link}?${new URLSearchParams(there)}`;
}
