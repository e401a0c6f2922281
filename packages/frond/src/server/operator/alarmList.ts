// Alarms as the operator sees them: from the index, for all cells, and from a cell's own rows.

import type { AlarmRow } from "../../cell/alarms.ts";
import type { Armed } from "../../core/alarm.ts";
import type { Address } from "../../types.ts";
import type { Ledger } from "../cells/ledger.ts";
import type { AlarmDetail, AlarmInfo } from "./nodeControl.ts";

/** See {@link NodeControl.alarms}. */
export function listAlarms(
  ledger: Ledger,
  after: AlarmInfo | undefined,
  limit: number,
  failedOnly: boolean,
): AlarmInfo[] {
  if (failedOnly) return failed(ledger, after?.address ?? "", limit, () => true);
  const list = after?.dueMs === 0 ? [] : armed(ledger, after, limit);
  if (list.length === limit) return list;
  const behind = after?.dueMs === 0 ? after.address : "";
  return [...list, ...failed(ledger, behind, limit - list.length, ({ dueMs }) => dueMs === 0)];
}

function armed(ledger: Ledger, after: AlarmInfo | undefined, limit: number): AlarmInfo[] {
  let from: Armed = { address: (after?.address ?? "") as Address, due: after?.dueMs ?? 0 };
  const found: AlarmInfo[] = [];
  for (;;) {
    const { list, through, complete } = ledger.alarms(from, limit - found.length);
    for (const { address, due } of list) {
      found.push({ address, dueMs: due, failed: ledger.find(address)?.failedAlarms ?? 0 });
    }
    if (complete || found.length === limit) return found;
    from = through;
  }
}

function failed(ledger: Ledger, after: string, limit: number, wanted: (one: AlarmInfo) => boolean): AlarmInfo[] {
  const found: AlarmInfo[] = [];
  for (let from = after; found.length < limit;) {
    const rows = ledger.withFailedAlarms(from, limit);
    for (const { address, alarm, failedAlarms } of rows) {
      const one = { address, dueMs: alarm, failed: failedAlarms };
      if (found.length < limit && wanted(one)) found.push(one);
    }
    const last = rows.at(-1);
    if (last === undefined) break;
    from = last.address;
  }
  return found;
}

/** What a row says, without its arguments: they are the cell's own business. */
export function detailOf(row: AlarmRow): AlarmDetail {
  const { id, verb, due, tries, cron, zone, failed: why } = row;
  return {
    id,
    verb,
    dueMs: due,
    tries,
    ...(cron !== null && { cron }),
    ...(zone !== null && { zone }),
    ...(why !== null && { failed: why }),
  };
}
