// Watching the files of an app.
//
// Rule: a change is noticed once, after the burst of events that editors make of it, and never because of what a running
// node itself writes. Watched are the sources in a folder and below it, and files elsewhere that the app has loaded.
// Rejected: fs.watch with `recursive` (on Linux it walks node_modules and watches every file of it), node --watch (knows
// loaded modules only, and does not say what changed).

import { readdirSync, statSync, watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import path from "node:path";

const QUIET_MS = 100;
/** Folders of other people's code, of tools, of build results. */
const FOREIGN = /^(?:node_modules|dist|\..*)$/;
/** What an app is made of. Anything else is more likely written by the running app, or is its output. */
const SOURCE = /^[^.].*\.(?:[cm]?[jt]sx?|json|sql|html|css|svg)$/;

export class Watch {
  readonly #root: string;
  readonly #excluded: string;
  readonly #folders = new Map<string, FSWatcher>();
  readonly #files = new Set<string>();
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #waiting: ((changed: string[]) => void) | undefined;

  /** Watches all below `root`, except `excluded` (the data directory). */
  constructor(root: string, excluded: string) {
    this.#root = root;
    this.#excluded = excluded;
    this.#addTree(root, () => {});
  }

  /** Watches one file, wherever it is. */
  addFile(file: string): void {
    if (this.#files.has(file)) return;
    this.#files.add(file);
    this.#addFolder(path.dirname(file));
  }

  /** Resolves with the paths that changed since the last call, once there are some and the burst is over. */
  next(): Promise<string[]> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      if (this.#timer === undefined) this.#deliver();
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
  }

  /** True for a folder whose contents are watched. */
  #inTree(folder: string): boolean {
    if (folder === this.#excluded || folder.startsWith(this.#excluded + path.sep)) return false;
    const below = path.relative(this.#root, folder);
    if (below === "") return true;
    return (
      !below.startsWith("..") && !path.isAbsolute(below) && !below.split(path.sep).some((name) => FOREIGN.test(name))
    );
  }

  /** Watches `folder` and what is in it; calls `found` for each source. */
  #addTree(folder: string, found: (file: string) => void): void {
    this.#addFolder(folder);
    let entries;
    try {
      entries = readdirSync(folder, { withFileTypes: true });
    } catch {
      // Gone again: its parent's watcher tells.
      return;
    }
    for (const entry of entries) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (this.#inTree(full)) this.#addTree(full, found);
      } else if (SOURCE.test(entry.name)) found(full);
    }
  }

  #addFolder(folder: string): void {
    if (this.#folders.has(folder)) return;
    try {
      const watcher = watch(folder, (_event, name) => this.#noticed(folder, name));
      watcher.on("error", () => this.#drop(folder));
      this.#folders.set(folder, watcher);
    } catch {
      // A folder that is gone has nothing to watch.
    }
  }

  #drop(folder: string): void {
    this.#folders.get(folder)?.close();
    this.#folders.delete(folder);
  }

  #noticed(folder: string, name: string | null): void {
    if (name === null) return;
    const file = path.join(folder, name);
    if (this.#files.has(file) || (SOURCE.test(name) && this.#inTree(folder))) this.#changedNow(file);
    else if (this.#inTree(file)) this.#folderChanged(file);
  }

  #folderChanged(folder: string): void {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) this.#drop(folder);
    // The sources of a new folder may be older than its watcher.
    else if (stats.isDirectory() && !this.#folders.has(folder)) this.#addTree(folder, (file) => this.#changedNow(file));
  }

  #changedNow(file: string): void {
    this.#changed.add(file);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#deliver();
    }, QUIET_MS);
  }

  #deliver(): void {
    if (this.#waiting === undefined || this.#changed.size === 0) return;
    const changed = [...this.#changed];
    this.#changed.clear();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting(changed);
  }
}
