// `Cell`: the class that an app derives from.
//
// Rule: everything of the runtime is reached through `ctx`, in the shape of a Durable Object; the members here are sugar on
// top. Public methods of a derived class are its verbs; `#private` ones and names with a leading `_` are not reachable.

import type { Durability } from "../types.ts";
import type { AlarmInfo, ScheduledCall } from "./alarms.ts";
import { CellContext } from "./context.ts";
import type { CellFiles } from "./files.ts";
import { invocations } from "./invocation.ts";
import { vacuum } from "./maintenance.ts";
import { durable } from "./outgoing.ts";
import type { When } from "./schedule.ts";
import type { CellSocket } from "./socket.ts";
import type { AcceptOptions, SocketResponse } from "./sockets.ts";
import type { Sql } from "./sql.ts";
import type { CallOptions, Stub } from "./stub.ts";

/** A class that derives from Cell. */
export type CellClass<T extends Cell = Cell> = (new (ctx: CellContext) => T) & {
  readonly migrations?: readonly string[];
  readonly durability?: Durability | undefined;
  readonly pageSize?: number | undefined;
};

/** One concept of a business: code plus its own SQLite database. */
export abstract class Cell {
  /**
   * SQL scripts that bring the database to what the code expects. Only ever append: what has run is recorded with its
   * checksum, and a cell whose record does not fit refuses to open (MIGRATION_DRIFT, SCHEMA_NEWER).
   */
  static readonly migrations: readonly string[] = [];
  /** Where a commit must be before anyone hears of it. Undefined: what the node was started with. */
  static readonly durability: Durability | undefined = undefined;
  /** Page size of the database in bytes, fixed when a cell begins to exist: 1,024, or 4,096 for cells that grow large. */
  static readonly pageSize: number | undefined = undefined;

  readonly ctx: CellContext;

  constructor(ctx: CellContext) {
    this.ctx = ctx;
  }

  /** The name that this cell was addressed with. */
  get name(): string {
    return this.ctx.id.name;
  }

  /** SQL on this cell's database: `this.sql.all\`SELECT ...\``. */
  get sql(): Sql {
    return CellContext.sqlOf(this.ctx);
  }

  /** Files of this cell, in the bucket: `await this.files.put(request.body)`. */
  get files(): CellFiles {
    return CellContext.filesOf(this.ctx);
  }

  /**
   * Addresses another cell. A call made inside an open transaction leaves after its commit and is dropped when it is
   * rolled back. Throws UNKNOWN_KIND and BAD_ADDRESS.
   */
  get<T extends Cell>(type: CellClass<T>, name: string, options?: CallOptions): Stub<T> {
    const cell = CellContext.cellOf(this.ctx);
    const caller = invocations.getStore();
    return cell.host.stubs.get(caller?.cell === cell ? caller : cell.enter(), type, name, options);
  }

  /** `work` happens whole or not at all; nests. Throws TX_ASYNC when it returns a promise. */
  transaction<T>(work: () => T): T {
    return CellContext.cellOf(this.ctx).transaction(work);
  }

  /**
   * Resolves when everything that this cell has committed or heard of is as durable as its class asks, and at `level`: to be
   * awaited before something is sent by other means than calls, answers, sockets and `ctx.fetch`, which wait by themselves.
   * Rejects with BAD_OPTION for what is no level, and with TX_ABORTED in a transaction over awaits that has written.
   */
  durable(level?: Durability): Promise<void> {
    return durable(CellContext.cellOf(this.ctx), level);
  }

  /**
   * Gives the space of deleted rows back to the disk, as a commit of its own: at once, or for a database above ASIDE_CELL_BYTES as
   * soon as nothing runs in this cell. The instance is closed for that, and calls wait until it is done. Throws TX_ABORTED after a
   * write of the same verb.
   */
  vacuum(): void {
    vacuum(CellContext.cellOf(this.ctx));
  }

  /**
   * Plans a call of a method of this class, as an event of its own: at a time, after a time, or by a cron expression, see
   * {@link When}. The call is planned when this verb commits, and happens at least once. Returns its id. Throws BAD_OPTION
   * for what is no time or never comes, UNKNOWN_VERB, NOT_CLONEABLE, and KEY_TOO_LARGE above MAX_SCHEDULED_BYTES.
   */
  schedule<K extends string, A extends unknown[]>(
    this: Cell & { readonly [P in K]: (...args: A) => unknown },
    when: When,
    verb: K,
    ...args: A
  ): number {
    return CellContext.cellOf(this.ctx).alarms.schedule(when, verb, args);
  }

  /** Cancels a scheduled call; false if it has run, or never was. Throws BAD_OPTION for what is no id. */
  unschedule(id: number): boolean {
    return CellContext.cellOf(this.ctx).alarms.unschedule(id);
  }

  /** The calls that are scheduled, those that failed included. */
  schedules(): ScheduledCall[] {
    return CellContext.cellOf(this.ctx).alarms.list();
  }

  /** The alarm that `ctx.storage.setAlarm` has armed. When it throws it is run again, ALARM_RETRIES times. */
  alarm?(info?: AlarmInfo): unknown;

  /** Answers a request that was passed to this cell: `get(Class, name).fetch(request)`. */
  fetch?(request: Request): Response | Promise<Response>;

  /**
   * Accepts a request for a WebSocket: `return this.accept(request)` in `fetch`. Without one it answers 426, and 403 to a page
   * of another host that `origins` does not name. Throws OVERLOADED at MAX_SOCKETS_PER_CELL, BAD_OPTION, and what
   * {@link CellSocket.serializeAttachment} throws.
   */
  accept(request: Request, options: AcceptOptions = {}): SocketResponse {
    return CellContext.accept(this.ctx, request, options);
  }

  /** A message of a socket that this cell has accepted: text, or bytes. */
  webSocketMessage?(socket: CellSocket, message: string | ArrayBuffer): unknown;

  /** The last event of a socket, whoever closed it. 1006: it ended without a close frame. Not called when the node stops. */
  webSocketClose?(socket: CellSocket, code: number, reason: string, wasClean: boolean): unknown;

  /** The other side broke the protocol or a limit; `webSocketClose` follows. */
  webSocketError?(socket: CellSocket, error: Error): unknown;
}
