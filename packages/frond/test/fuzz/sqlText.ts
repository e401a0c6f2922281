// SQL, written in every way in which SQLite reads it: case, quotes, comments, white space where nobody expects it.
//
// Rule: a template is its tokens with one space between them; spelling it anew changes nothing of what it means. A word
// behind `@` is a name, which may be quoted; behind `@@` it must be.

import fc from "fast-check";

const GAPS = [
  " ",
  "\n",
  "\t",
  "\r\n",
  "\f",
  " \v",
  "/**/",
  "/* ; ' */",
  "-- ' ; /*\n",
  "--\n",
  "/*/*/",
  " \uFEFF",
  "/* BEGIN */ ",
];

/** How a template is spelled: numbers to choose with, one after the other, used in a circle. */
export type Spelling = readonly number[];
export const spelling: fc.Arbitrary<Spelling> = fc.array(fc.nat(999), { minLength: 1, maxLength: 24, size: "max" });

/** The text of a template, spelled so. `0` everywhere is the plain spelling. */
export function spell(template: string, choices: Spelling): string {
  let used = 0;
  const choose = (): number => choices[used++ % choices.length] as number;
  const tokens = template.split(" ").map((token) => {
    if (token.startsWith("@@")) return spellName(token.slice(2), 2 + (choose() % 3), choose());
    if (token.startsWith("@")) return spellName(token.slice(1), choose(), choose());
    return /^[A-Za-z_]+$/.test(token) ? spellCase(token, choose()) : token;
  });
  return tokens.reduce((text, token) => text + (GAPS[choose() % GAPS.length] as string) + token);
}

/** White space and comments between statements. */
export function gap(choice: number): string {
  return GAPS[choice % GAPS.length] as string;
}

function spellCase(word: string, choice: number): string {
  if (choice % 4 === 0) return word;
  if (choice % 4 === 1) return word.toLowerCase();
  return [...word].map((c, i) => ((choice >> (i % 8)) & 1 ? c.toUpperCase() : c.toLowerCase())).join("");
}

function spellName(name: string, quote: number, letters: number): string {
  const spelled = spellCase(name, letters);
  return [spelled, spelled, `"${spelled}"`, `[${spelled}]`, `\`${spelled}\``][quote % 5] as string;
}
