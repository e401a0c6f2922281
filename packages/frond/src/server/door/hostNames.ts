// By which names a server may be asked for: a guard for servers that are meant for the browser on the same machine.
//
// Rule: a page of any site can have its own name answered with 127.0.0.1 (DNS rebinding); the browser then takes what this
// server answers for that site's, and its script reads it. Such a request has the site's name as its Host, which a page
// cannot change. So a request must name an IP address, localhost, a name below localhost, or one that was listed: no
// foreign page has such a Host. Only under `frond dev`: in front of `frond start` stands a proxy that passes on the names
// of the real site, and what is open to the world has nothing to hide from a page.
// A request without Host is none of a browser's; whether it may do without is for the front door to say.

import { isIP } from "node:net";

/** Answers whether a Host header (`NAME`, `NAME:PORT`, `[IPv6]:PORT`; undefined: there is none) may be answered. */
export type HostCheck = (host: string | undefined) => boolean;

/** Allows IP addresses, localhost, names below it, and `names`, which are names as URLs have them. */
export function allowHosts(names: readonly string[]): HostCheck {
  const listed = new Set(names.map(plain));
  return (host) => {
    if (host === undefined) return true;
    const [, bracketed, name] = /^(?:\[([^\]]*)\]|([\w.-]+))(?::\d*)?$/.exec(host) ?? [];
    if (bracketed !== undefined) return isIP(bracketed) === 6;
    if (name === undefined) return false;
    const known = plain(name);
    return isIP(known) === 4 || known === "localhost" || known.endsWith(".localhost") || listed.has(known);
  };
}

/** Without what says nothing: capitals, and the dot at the end of a full name. */
function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
