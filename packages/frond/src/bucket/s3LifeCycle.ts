// Life-cycle rules of an object store that would take frond's objects away.
//
// Rule: only what is sure to concern them is warned about: frond's objects have no tags, and a log of today is read until
// frond itself removes it, so every expiry by age is too early. Rules for old versions and for unfinished uploads are welcome.

import type { LifecycleRule } from "@aws-sdk/client-s3";

/** Storage classes from which an object must be fetched back for hours before it can be read. */
const UNREADABLE = new Set(["GLACIER", "DEEP_ARCHIVE"]);

/** What a rule would do to objects whose keys begin with `base`; no sentence: nothing. */
export function harmOf(rule: LifecycleRule, base: string): string[] {
  const { Status, Filter, Expiration, Transitions = [] } = rule;
  if (Status !== "Enabled" || Filter?.Tag !== undefined || (Filter?.And?.Tags ?? []).length > 0) return [];
  const prefix = Filter?.Prefix ?? Filter?.And?.Prefix ?? rule.Prefix ?? "";
  if (!prefix.startsWith(base) && !base.startsWith(prefix)) return [];
  const name = `the life-cycle rule ${JSON.stringify(rule.ID ?? "")}`;
  const where = prefix === "" ? "all objects" : `objects below "${prefix}"`;
  const harm: string[] = [];
  if (Expiration?.Days !== undefined) harm.push(`${name} deletes ${where} after ${Expiration.Days} days`);
  if (Expiration?.Date !== undefined) harm.push(`${name} deletes ${where} on ${Expiration.Date.toISOString()}`);
  const archive = Transitions.find(({ StorageClass = "" }) => UNREADABLE.has(StorageClass))?.StorageClass;
  if (archive !== undefined) harm.push(`${name} moves ${where} to ${archive}, where they cannot be read`);
  return harm.map((what) => `${what}: cells would be lost; exclude the prefix of frond from it`);
}
