// What a person types into the search box, as a query that FTS5 takes.
//
// Rule: every text is a valid query. Words must all occur, in any order, anywhere in the message; words in "quotes" must
// stand side by side. FTS5's own language (AND, OR, NEAR, columns, *) is never spoken: each term is quoted, so a sign that
// means something there is only a sign here. Whole words only, as the tokenizer of the mailbox cuts them; the last one
// may be the beginning of a word while it is still being typed.

/** Most terms of a query: the rest is ignored. */
export const MAX_TERMS = 32;
/** Longest query, in characters: the rest is ignored. */
export const MAX_QUERY_LENGTH = 1000;

// A term in quotes (the closing one may be missing) or a run without white space.
const TERM = /"([^"]*)(?:"|$)|([^\s"]+)/g;
// What unicode61 takes as part of a word: letters, digits, private use.
const WORD_CHARACTER = /[\p{L}\p{N}\p{Co}]/u;
const GROWING = /[\p{L}\p{N}\p{Co}]{2}$/u;

/**
 * The FTS5 query for a typed text, or undefined if it holds no word. `growing`: what was typed may go on, so that a last
 * word of two characters or more without a space or quote behind it also finds words that begin with it.
 */
export function searchQuery(typed: string, growing = false): string | undefined {
  const terms: string[] = [];
  const text = typed.slice(0, MAX_QUERY_LENGTH).toWellFormed().normalize().replaceAll("\0", " ");
  for (const match of text.matchAll(TERM)) {
    const term = match[1] ?? match[2] ?? "";
    // FTS5 finds nothing at all for a phrase without a word in it.
    if (WORD_CHARACTER.test(term)) terms.push(`"${term}"`);
    if (terms.length === MAX_TERMS) break;
  }
  if (terms.length === 0) return undefined;
  return terms.join(" ") + (growing && GROWING.test(text) ? "*" : "");
}
