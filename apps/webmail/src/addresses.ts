// Addresses in text: those of a header field, and those that a person typed.
//
// Rule: a list is cut as demo/recipients.ts states it (its rules 3 to 6): commas and semicolons part entries, names and
// comments do not count, what is no address is left as it stands for whoever reports it.
// Rejected: the address parsers of the mail libraries, which find addresses in text that holds none.

import { MAX_ADDRESS_LENGTH } from "./settings.ts";

const WORD = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
const USABLE = new RegExp(`^${WORD}(?:\\.${WORD})*@${LABEL}(?:\\.${LABEL})*$`);
const QUOTED_LOCAL = /^"((?:[^"\\]|\\.)*)"@/s;
const ROUTE = /^@[^:]*:/;

/** The addresses of one field, as rule 3 and 4 find them, usable or not, as they are written. */
export function addressesOf(text: string): string[] {
  return entriesOf(text).flatMap((entry) => {
    const address = (entry.angles === "" ? entry.text : entry.angles.replace(ROUTE, "")).trim();
    return address === "" ? [] : [address];
  });
}

/** The address in the form that names a mailbox, or undefined if rule 5 finds it unusable. */
export function usableAddress(address: string): string | undefined {
  const quoted = QUOTED_LOCAL.exec(address);
  const plain = quoted === null ? address : quoted[1] + address.slice(quoted[0].length - 1);
  const lower = plain.toLowerCase();
  return lower.length <= MAX_ADDRESS_LENGTH && USABLE.test(lower) ? lower : undefined;
}

interface Entry {
  text: string;
  angles: string;
}

// One walk over the field. What opened and did not close lasts to the end of the field.
function entriesOf(field: string): Entry[] {
  const entries: Entry[] = [{ text: "", angles: "" }];
  for (let i = 0; i < field.length; i++) {
    const entry = entries.at(-1) as Entry;
    const character = field[i] as string;
    if (character === "," || character === ";") entries.push({ text: "", angles: "" });
    else if (character === ":") entry.text = "";
    else if (character === "(") i = endOfComment(field, i);
    else if (character === '"') {
      const end = endOfQuotes(field, i);
      entry.text += field.slice(i, end + 1);
      i = end;
    } else if (character === "<") {
      const end = endOfAngles(field, i);
      if (entry.angles === "") entry.angles = field.slice(i + 1, end).trim();
      i = end;
    } else entry.text += character;
  }
  return entries;
}

function endOfComment(field: string, open: number): number {
  let depth = 0;
  for (let i = open; i < field.length; i++) {
    if (field[i] === "\\") i++;
    else if (field[i] === "(") depth++;
    else if (field[i] === ")" && --depth === 0) return i;
  }
  return field.length;
}

function endOfQuotes(field: string, open: number): number {
  for (let i = open + 1; i < field.length; i++) {
    if (field[i] === "\\") i++;
    else if (field[i] === '"') return i;
  }
  return field.length;
}

function endOfAngles(field: string, open: number): number {
  for (let i = open + 1; i < field.length; i++) {
    if (field[i] === '"') i = endOfQuotes(field, i);
    else if (field[i] === ">") return i;
  }
  return field.length;
}
