// Which boot of the machine this is.
//
// Rule: within one boot the page cache holds every byte that was written, so a cell's file can be believed after a kill; a
// new boot, or one that cannot be told, means that only what was synced is certain.

import { execFileSync } from "node:child_process";
import fs from "node:fs";

/** A text that changes with every boot; "" where the system does not tell, which is never equal to another. */
export function bootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    try {
      return execFileSync("sysctl", ["-n", "kern.bootsessionuuid"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    } catch {
      return "";
    }
  }
}
