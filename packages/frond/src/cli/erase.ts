// `frond erase`: a cell, and what is kept of it.
//
// Rule: as for `frond delete`, it is asked for twice; and nobody is told that something is gone which is only going.

import type { Command } from "commander";
import { parseAddress } from "../address.ts";
import { FrondError } from "../errors.ts";
import type { ErasureState } from "../server/operator/nodeControl.ts";
import { askYes } from "./delete.ts";
import { DATA_HELP, withNode } from "./operator.ts";
import { dataOption, jsonOption } from "./options.ts";
import { print, printJson, showTime, showValue, tableLines, widthsOf } from "./output.ts";
import { ProgressLine } from "./progress.ts";

interface Options {
  readonly data?: string;
  readonly json?: true;
  readonly yes?: true;
  readonly status?: true;
}

const ERASE_HELP = `
The cell is deleted, and cannot be restored any more. Its pages go from packs, checkpoints and snapshots in the bucket at once, its
files, if no other cell names them, two days after the retention. What stands in the segments of logs goes when the retention has passed
(frond start --retention), as long as a node runs then; the log files of the node's disk go when they are full, or at its next start.
--status looks what is left. Copies that were made by frond backup or frond export are not known to frond.

When nothing is left, only a hash of the address is kept. Until the retention has passed, the address itself stands in tombstones.

${DATA_HELP}

Examples:
  frond erase mailbox/alice --yes
  frond erase --status`;

export function addErase(program: Command): void {
  program
    .command("erase")
    .description("delete a cell and have everything removed that is kept of it")
    .argument("[address]", "KIND/NAME of the cell, deleted or not; a / in a name is written %2f")
    .option("--yes", "do not ask")
    .option("--status", "tell of each erased cell what is left, and when nothing is")
    .addOption(dataOption("data directory"))
    .addOption(jsonOption())
    .addHelpText("after", ERASE_HELP)
    .action(async (address: string | undefined, { yes, status, ...where }: Options) => {
      if ((address === undefined) === (status === undefined)) {
        throw new FrondError("BAD_OPTION", "frond erase takes a cell, KIND/NAME, or --status");
      }
      const line = new ProgressLine(where.json);
      try {
        if (address === undefined) {
          line.show("looking for what is left");
          const states = await withNode(where, (view) => view.erasures());
          line.end();
          return await (where.json ? printJson(states) : listStates(states));
        }
        parseAddress(address);
        await askYes("erase", address, yes === true, where.json === true);
        line.show(`erasing ${showValue(address)}`);
        const state = await withNode(where, (view) => view.erase(address));
        line.end();
        return await (where.json ? printJson(state) : print(`${showValue(address)} is erased; ${describe(state)}\n`));
      } finally {
        line.end();
      }
    });
}

const HEADS = ["CELL", "ERASED", "LEFT", "GONE"];

function listStates(states: readonly ErasureState[]): Promise<void> {
  if (states.length === 0) return print("no cell was erased\n");
  const rows = states.map((state) => {
    const { address, hash, erasedMs, goneMs, goneByMs = 0 } = state;
    const gone = goneMs === undefined ? `by ${showTime(goneByMs)}` : showTime(goneMs);
    return [
      address === undefined ? `${hash.slice(0, 16)}...` : showValue(address),
      showTime(erasedMs),
      leftOf(state),
      gone,
    ];
  });
  return print(tableLines([HEADS, ...rows], widthsOf(HEADS, rows)));
}

function describe(state: ErasureState): string {
  const { goneMs, goneByMs = 0 } = state;
  if (goneMs !== undefined) return "nothing is left of it";
  return `left: ${leftOf(state)}, until ${showTime(goneByMs)} at the latest if a node runs then`;
}

function leftOf({ left }: ErasureState): string {
  const { packs, checkpoints, snapshots, commits, files } = left;
  const others = packs + checkpoints + snapshots;
  const parts = [
    [commits, commits === 1 ? "commit in the log" : "commits in the log"],
    [files, files === 1 ? "file" : "files"],
    [others, others === 1 ? "pack, checkpoint or snapshot" : "packs, checkpoints or snapshots"],
  ] as const;
  const some = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return some.length === 0 ? "nothing" : some.join(", ");
}
