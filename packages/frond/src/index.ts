// The public face of frond: what an app imports. Hand-written; everything else in the package is private.

export {
  type AppDefinition,
  type FetchContext,
  frond,
  type ServiceContext,
  type ServiceLog,
  type StopService,
} from "./cell/app.ts";
export type { AlarmInfo, ScheduledCall } from "./cell/alarms.ts";
export { Cell, type CellClass } from "./cell/cell.ts";
export {
  type ArgumentSchema,
  type Authorize,
  type CallOrigin,
  type ExposedCall,
  type Exposure,
  PublicError,
} from "./cell/expose.ts";
export { type CellContext, type CellId } from "./cell/context.ts";
export type { FileBody, FileRange } from "./cell/fileBody.ts";
export type { FileSource } from "./cell/filePieces.ts";
export type { CellFiles, FileInfo, FileOptions, StoredFile } from "./cell/files.ts";
export type { KeyValues, KvListOptions } from "./cell/kv.ts";
export type { CellArchive, CellTools, PastCommit, PastMoment, PastSql, RestoredPast } from "./cell/past.ts";
export type { When } from "./cell/schedule.ts";
export { CellSocket } from "./cell/socket.ts";
export { type AcceptOptions, type SocketResponse, WebSocketRequestResponsePair } from "./cell/sockets.ts";
export type { Changes, Sql } from "./cell/sql.ts";
export type { SqlCursor, SqlStorage } from "./cell/sqlStorage.ts";
export type { CellStorage, StorageOptions, StorageTransaction } from "./cell/storage.ts";
export type { CallOptions, Get, Stub } from "./cell/stub.ts";
export { type ErrorCode, FrondError, isFrondError } from "./errors.ts";
export type { Durability } from "./types.ts";
