// What each thread of a process has had of the processor, as Linux counts it.
//
// Rule: a thread is told by its name: Node gives its workers the one that they were made with. Those that nobody named are
// taken together: V8's own (garbage, compiling) and the pool in which files are read and written.

import { readdirSync, readFileSync } from "node:fs";

/** Seconds of the processor by thread since the process began. */
export interface ThreadTimes {
  readonly main: number;
  readonly bucket: number;
  readonly others: number;
}

/** Clock ticks of /proc in a second: a constant of Linux on the machines that Node runs on. */
const TICKS = 100;

/** Looks at a process. */
export function threadTimes(pid: number): ThreadTimes {
  const times = { main: 0, bucket: 0, others: 0 };
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readOf(`/proc/${pid}/task/${task}/stat`);
    // The name may hold spaces and brackets; behind its last bracket the fields have their places.
    const end = stat.lastIndexOf(")");
    const fields = stat.slice(end + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS;
    const name = stat.slice(stat.indexOf("(") + 1, end);
    if (Number(task) === pid) times.main += seconds;
    else if (name.startsWith("frond bucket")) times.bucket += seconds;
    else times.others += seconds;
  }
  return times;
}

/** What was had between two looks. */
export function between(before: ThreadTimes, after: ThreadTimes): ThreadTimes {
  return {
    main: after.main - before.main,
    bucket: after.bucket - before.bucket,
    others: after.others - before.others,
  };
}

/** A thread may end while it is looked at. */
function readOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "0 () S".padEnd(40, " 0");
  }
}
