// What app code outside of cells may do with a cell as a whole: look at its past, go back to it, take it along as a file.
//
// Rule: none of it is for cells themselves: a cell that read its own past would answer differently on every node. Who may ask is
// for the app to decide; frond does not. Positions are texts, so that they can stand in a form and in an address.

import type { Row } from "../store/rows.ts";
import type { Cell, CellClass } from "./cell.ts";

/** A moment: a `Date`, ms since 1970, or a position as `history` tells it. What is meant is the last commit up to it. */
export type PastMoment = Date | number | string;

/** A commit of a cell that can be gone back to. */
export interface PastCommit {
  /** What it is called, as in `frond history`: `12-3456`. */
  readonly position: string;
  /** When it was committed, in ms since 1970. */
  readonly time: number;
  /** Size of the database behind it, in bytes; 0 when the cell was deleted. */
  readonly size: number;
  /** `replaced`: it was given another content, by a restore or an import. */
  readonly what: "created" | "changed" | "deleted" | "replaced";
}

/** What a cell was given back. */
export interface RestoredPast {
  /** The commit that was gone back to, and when that was, in ms since 1970. */
  readonly position: string;
  readonly time: number;
  /** Where the cell stands now. */
  readonly now: string;
  /** What it held before is at this position: going there undoes the restore. Absent: it did not exist. */
  readonly before?: string;
  /** Files that the content names and the bucket has not any more. Count. */
  readonly missingFiles: number;
}

/** A cell with its files as a tar archive, as `frond export` writes it. */
export interface CellArchive {
  /** In bytes. */
  readonly size: number;
  /** To be read to its end, or cancelled: until then it takes its space on the disk. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/**
 * SQL of a cell as it was, with the tables that it had then. Every form rejects with CELL_MISSING when there was no cell,
 * HISTORY_GONE, SQL_DENIED for what writes, and what SQL of a cell throws.
 */
export interface PastSql {
  /** All rows. */
  all<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T[]>;
  /** The first row, or undefined. */
  first<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T | undefined>;
  /** The only row. Rejects with SQL_ONE_ROW when there are none or more. */
  one<T extends object = Row>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T>;
}

/** See the head of the file. All throw UNKNOWN_KIND, BAD_ADDRESS and BAD_OPTION; what needs a bucket rejects with NO_BUCKET. */
export interface CellTools {
  /**
   * The commits that can be gone back to, the newest first: those since `since`, at most `limit` (default HISTORY_LIMIT, most
   * MAX_HISTORY_LIMIT). Rejects with CELL_MISSING when there is none at all.
   */
  history<T extends Cell>(
    type: CellClass<T>,
    name: string,
    options?: { readonly since?: Date | number; readonly limit?: number },
  ): Promise<PastCommit[]>;
  /** A look at the cell as it was. Each statement fetches it from the bucket anew. */
  past<T extends Cell>(type: CellClass<T>, name: string, options: { readonly at: PastMoment }): PastSql;
  /**
   * Gives the cell, deleted or not, the content that it had. `ifAt`: only if the cell stands at that position, the newest of its
   * history; else it rejects with CELL_CHANGED and has done nothing. What runs in it ends with ABORTED, its sockets are closed (1012), its
   * alarms are those of then. Rejects with CELL_MISSING when there was no cell, HISTORY_GONE, RECORD_TOO_LARGE.
   */
  restore<T extends Cell>(
    type: CellClass<T>,
    name: string,
    options: { readonly at: PastMoment; readonly ifAt?: string },
  ): Promise<RestoredPast>;
  /** The cell as it is now, with its files. Needs no bucket. Rejects with CELL_MISSING, FILE_MISSING, DISK_FULL. */
  export<T extends Cell>(type: CellClass<T>, name: string): Promise<CellArchive>;
}
