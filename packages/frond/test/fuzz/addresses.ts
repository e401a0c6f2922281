// Addresses and names: what people type, and what becomes of it on disk.
//
// Rule: an address is refused as BAD_ADDRESS, or means one cell: two that differ never meet in one file, also where the
// file system folds case, and no name leads out of its folder. The reference is the model below, which knows the rules of
// names and nothing of escapes.

import fc from "fast-check";
import path from "node:path";
import { formatAddress, type Pair, parseAddress, slotOf } from "../../src/address.ts";
import { MAX_ADDRESS_BYTES, MAX_KIND_LENGTH, MAX_NAME_BYTES, SLOTS } from "../../src/limits.ts";
import { cellPath, fileNameOf } from "../../src/store/paths.ts";
import type { Address } from "../../src/types.ts";
import { attempt, type Entrance, target, type Target } from "./target.ts";

export interface AddressEntrance {
  readonly format: (pairs: readonly Pair[]) => string;
  readonly parse: (text: string) => Pair[];
  readonly fileName: (address: string) => string;
}

interface AddressCase {
  readonly pairs: readonly Pair[];
  readonly other: readonly Pair[];
  /** What stands behind the same pairs in an address that is nearly the same. */
  readonly twin: string;
  readonly text: string;
}

const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("/", "%", "%2f", "%2F", "%25", "..", ".", "~", "\0", "\u001f", "\u007f") },
  {
    weight: 2,
    arbitrary: fc.constantFrom("a", "A", "é", "E\u0301", "\ud800", "😀", " ", "\\", ":", "CON", "-wal", ".db"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom("x".repeat(170), "y".repeat(513), "%".repeat(120), "é".repeat(256)) },
);
const name = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join(""));
const kind = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("mailbox", "a", "B-2", "x_y", "k".repeat(MAX_KIND_LENGTH)) },
  { weight: 1, arbitrary: fc.constantFrom("", "1a", "k".repeat(64), "é", "..", "a/b", "a\n", "__proto__") },
);
const pairs = fc.array(fc.record({ kind, name }), { maxLength: 4 });
const text = fc.array(fc.oneof(piece, kind, fc.constant("/")), { maxLength: 12 }).map((parts) => parts.join(""));

export function addressTarget(
  entrance: AddressEntrance = { format: formatAddress, parse: parseAddress, fileName: fileNameOf },
): Target {
  return target("address", 6000, (): Entrance<AddressCase> => ({
    input: fc.record({ pairs, other: pairs, twin: piece, text }),
    check(input) {
      judgePairs(input.pairs, entrance);
      judgeText(input.text, entrance);
      judgeTwo(input.pairs, input.other, entrance);
      const last = input.pairs.at(-1);
      if (last === undefined) return;
      const nearly = (other: string): Pair[] => [...input.pairs.slice(0, -1), { ...last, name: other }];
      judgeTwo(input.pairs, nearly(last.name + input.twin), entrance);
      judgeTwo(input.pairs, nearly(last.name.toUpperCase()), entrance);
    },
  }));
}

function judgePairs(given: readonly Pair[], { format, parse, fileName }: AddressEntrance): void {
  const formed = attempt(["BAD_ADDRESS"], () => format(given));
  const right = given.length > 0 && given.every(isRight);
  if ("code" in formed) {
    if (right && given.length === 1) throw new Error("a right name is refused");
    return;
  }
  if (!right) throw new Error(`a wrong name is taken: ${formed.value}`);
  const address = formed.value;
  if (JSON.stringify(parse(address)) !== JSON.stringify(given)) throw new Error(`${address} is read as another cell`);
  if (Buffer.byteLength(address) > MAX_ADDRESS_BYTES) throw new Error("an address is longer than it may be");
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(address)) throw new Error("an address holds a control character");
  const slot = slotOf(address as Address);
  if (!(slot >= 0 && slot < SLOTS) || slot !== slotOf(format(given.slice(0, 1)) as Address)) {
    throw new Error(`${address} has slot ${slot}, not that of its root`);
  }
  judgeFile(address, fileName);
}

function judgeFile(address: string, fileName: AddressEntrance["fileName"]): void {
  const file = fileName(address);
  if (!/^[a-z0-9_@+%~-][a-z0-9_@+%~.-]*$/.test(file)) throw new Error(`the file name ${file} is not plain`);
  if (file.length > 250 - ".db-wal".length) throw new Error(`the file name ${file} is too long`);
  const folder = path.resolve("/data/cells");
  const full = cellPath(folder, slotOf(address as Address), address as Address);
  const inside = path.relative(folder, path.resolve(full)).split(path.sep);
  if (inside.length !== 2 || inside.includes("..")) throw new Error(`${full} is outside of ${folder}`);
}

function judgeText(typed: string, { format, parse }: AddressEntrance): void {
  const read = attempt(["BAD_ADDRESS"], () => parse(typed));
  if ("code" in read) return;
  if (!read.value.every(isRight)) throw new Error("a wrong name was read");
  const spelled = attempt(["BAD_ADDRESS"], () => format(read.value));
  if ("code" in spelled) return;
  if (JSON.stringify(parse(spelled.value)) !== JSON.stringify(read.value))
    throw new Error("it is read twice, differently");
}

function judgeTwo(a: readonly Pair[], b: readonly Pair[], { format, fileName }: AddressEntrance): void {
  const one = attempt(["BAD_ADDRESS"], () => format(a));
  const two = attempt(["BAD_ADDRESS"], () => format(b));
  if ("code" in one || "code" in two) return;
  const same = JSON.stringify(a) === JSON.stringify(b);
  const sameFile = fileName(one.value).toLowerCase() === fileName(two.value).toLowerCase();
  if (same !== (one.value === two.value)) throw new Error(`${one.value} and ${two.value} are one address`);
  if (same !== sameFile) throw new Error(`${one.value} and ${two.value} are one file`);
}

/** What names may be, by the rules alone. */
function isRight(pair: Pair): boolean {
  const bytes = Buffer.byteLength(pair.name);
  const wellFormed = pair.name.isWellFormed() && !pair.name.includes("\0") && bytes > 0 && bytes <= MAX_NAME_BYTES;
  return wellFormed && /^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(pair.kind) && !pair.kind.endsWith("\n");
}
