// Every bound of frond, in one readable file: name, unit, and why this number.
//
// Rule: code never compares with a bare number where a user could meet the bound; it names one of these, and each has a
// test that meets it.

/** Slots of a cluster: the unit of ownership. Frozen, with the hash, when a data directory is created. Count. */
export const SLOTS = 1024;

/** Longest name of a cell, in bytes of UTF-8: leaves room for a path of several pairs in one record. */
export const MAX_NAME_BYTES = 512;
/** Longest whole address, in bytes of UTF-8 (several pairs for a child). */
export const MAX_ADDRESS_BYTES = 2048;
/** Longest kind, in characters. */
export const MAX_KIND_LENGTH = 63;

/** Largest commit: the sum of the pages it changed, in bytes. Larger ones are refused (RECORD_TOO_LARGE). */
export const MAX_COMMIT_BYTES = 32 * 1024 * 1024;
/** Largest encoded record, in bytes: a commit plus its page numbers, addresses and header. */
export const MAX_RECORD_BYTES = MAX_COMMIT_BYTES + 1024 * 1024;
/** Most cells in one record (a tree commits together). Count. */
export const MAX_RECORD_CELLS = 1024;
/** Most index changes in one record: existence and alarm of every cell, each changed and changed back. Count. */
export const MAX_RECORD_CHANGES = 4 * MAX_RECORD_CELLS;

/** Page size of a new cell, in bytes: a one-row update then costs one kilobyte of log. */
export const DEFAULT_PAGE_SIZE = 1024;
/** SQLite page cache of an open cell, in KiB. */
export const PAGE_CACHE_KIB = 256;
/** A cell's WAL is checkpointed when it has grown by this many bytes. */
export const CHECKPOINT_BYTES = 4 * 1024 * 1024;
/** Largest result of one statement, in bytes as estimated while reading. */
export const MAX_RESULT_BYTES = 64 * 1024 * 1024;
/** Longest SQL text of one call, in characters. */
export const MAX_SQL_LENGTH = 1_000_000;
/** Most parameters of one statement: SQLite's own default. Count. */
export const MAX_PARAMETERS = 32_766;
/** Migrations and the vacuum of a cell above this size, in bytes, are done in a process of their own: others must not wait for it. */
export const ASIDE_CELL_BYTES = 16 * 1024 * 1024;
/** What such work may change to be logged as an ordinary commit, in bytes; more goes through the bucket, if there is one. */
export const ASIDE_COMMIT_BYTES = 4 * 1024 * 1024;
/** Such cells that are worked on at once. Count. */
export const ASIDE_AT_ONCE = 2;
/** How often it is looked whether nothing runs any more in a cell that is to be worked on, in ms. */
export const ASIDE_LOOK_MS = 20;
/** How long the failure of a large cell's migrations is told to whoever asks, in ms, before they are tried again. */
export const ASIDE_RETRY_MS = 5_000;
/** Prepared statements kept per open cell. Count. */
export const STATEMENTS_PER_CELL = 64;
/** Longest key of `storage.kv`, in bytes, and largest value, in bytes: as Durable Objects have them. */
export const MAX_KV_KEY_BYTES = 2048;
export const MAX_KV_VALUE_BYTES = 2 * 1024 * 1024;

/** Events that may wait for one cell; the next one is refused (QUEUE_FULL). Count. */
export const MAX_CELL_QUEUE = 2048;
/** The longest that an event waits for its cell, in ms; then it is refused (CELL_BUSY). */
export const MAX_QUEUE_MS = 30_000;
/** How long the events of one queue are let in one after the other before others have their turn, in ms. */
export const QUEUE_TURN_MS = 5;
/** How often a call that met a full queue is tried again for its caller, and the first wait before that, in ms (doubled). */
export const QUEUE_FULL_RETRIES = 3;
export const QUEUE_FULL_WAIT_MS = 50;
/** The longest that blockConcurrencyWhile and storage.transaction may take, in ms: as long as others wait for them. */
export const MAX_BLOCK_MS = 30_000;

/** Watchdog: a main thread that has not come by for so long is told in the log, in ms. */
export const SLOW_SYNC_MS = 1_000;
/** Watchdog: the longest that code may hold the event loop, in ms, unless the node states another (`--max-sync-ms`). */
export const MAX_SYNC_MS = 10_000;
/** Watchdog: the shortest such limit that may be stated, in ms: a collection of garbage may take as long. */
export const MIN_SYNC_MS = 250;
/** Strikes: so many within the window park a cell. Count. */
export const STRIKES_TO_PARK = 3;
/** Strikes: the window, in ms. */
export const STRIKE_WINDOW_MS = 3_600_000;
/** Strikes: cells that are remembered for them, those longest without one forgotten first. Count. */
export const MAX_STRUCK_CELLS = 1_024;

/** Cells that stay open though they are idle. Count; lower where the system's descriptors are few. */
export const MAX_OPEN_CELLS = 4096;

/** Size of a log file, in bytes: it is written full of zeros in advance, so a commit never has to find space. */
export const LOG_FILE_BYTES = 16 * 1024 * 1024;
/** Highest number of a log file: a place in the log (file number * 2^32 + offset) stays a safe integer. */
export const MAX_LOG_FILE_NUMBER = 2 ** 21 - 1;
/** Commits that may wait for the disk, in bytes; beyond it new calls are refused (OVERLOADED). */
export const MAX_LOG_BACKLOG_BYTES = 128 * 1024 * 1024;
/** Batches of the log that may be between write and the end of their sync. Count. */
export const LOG_SYNCS_IN_FLIGHT = 2;

/** HTTP: largest request header, in bytes. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** HTTP: longest request target (path and query), in bytes. */
export const MAX_URL_BYTES = 8 * 1024;
/** HTTP: largest request body, in bytes, unless the app states another. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** HTTP: requests being worked on at once; the next one is answered 503. Count. */
export const MAX_OPEN_REQUESTS = 10_000;
/** HTTP: connections held at once; further ones are closed unheard. Count; lower where the system's descriptors are few. */
export const MAX_CONNECTIONS = 16_384;
/** HTTP: time a client has to send its request header, in ms. */
export const HEADER_TIMEOUT_MS = 20_000;
/** HTTP: time a client has to send its whole request, in ms: the largest body over a 1 Mbit/s line. */
export const REQUEST_TIMEOUT_MS = 300_000;
/** HTTP: time in which a client must read something of a streamed answer that waits for it, in ms; then it is cut off. */
export const WRITE_TIMEOUT_MS = 120_000;
/** HTTP: time a connection may rest between requests, in ms: more than the 60 s of common proxies, which reuse theirs. */
export const KEEP_ALIVE_MS = 65_000;
/** HTTP: time in which the rest of a refused body is read and thrown away, so that its sender sees the refusal, in ms. */
export const LINGER_MS = 2_000;
/** HTTP: Retry-After of a 503, in seconds. */
export const RETRY_AFTER_SECONDS = 1;
/**
 * Calls from outside: largest argument list, in bytes of JSON: it is read in one go, on the thread of all cells, and fits
 * with its address into a frame of MAX_SOCKET_MESSAGE_BYTES. The client has the same number (client/calls.ts). Larger
 * things are uploaded to `fetch`.
 */
export const MAX_CALL_BYTES = 1_000_000;
/** Calls from outside: calls of one WebSocket in work; then it is read no further. Count. */
export const MAX_SOCKET_CALLS = 64;
/** Calls from outside: issues of a schema that are told, and characters of each. Count; length. */
export const MAX_ISSUES = 32;
export const MAX_ISSUE_LENGTH = 500;
/** Calls from outside: time for which a browser may keep the answer to a preflight, in seconds. */
export const PREFLIGHT_SECONDS = 600;
/** Control socket: largest request, in bytes: the arguments of one call. */
export const MAX_CONTROL_BYTES = 64 * 1024 * 1024;
/** Values as JSON: lists and objects inside each other. What goes deeper would end in the middle of the program's stack. Count. */
export const MAX_JSON_DEPTH = 1_000;
/** Control socket: most cells in one page of the list. Count. */
export const CELLS_PER_PAGE = 1_000;
/** Longest path of a unix socket, in bytes: what `sockaddr_un` of Linux holds (macOS: 103), without the final NUL. */
export const MAX_SOCKET_PATH_BYTES = 103;
/** Time that a graceful stop gives to requests in work, in ms. */
export const STOP_GRACE_MS = 10_000;

/** Alarms: starts in any second, so that those that fell due while the node was away do not keep requests waiting. Count. */
export const ALARM_STARTS_PER_SECOND = 500;
/** Alarms: runs at once that hold a place: fewer than the cells that may be open with 1,024 descriptors. Count. */
export const ALARMS_RUNNING = 64;
/** Alarms: a run holds its place for this long, in ms; those that wait for something for longer must not stop all others. */
export const ALARM_PLACE_MS = 60_000;
/** Alarms: the earliest ones, which a node holds in memory; the others stay in the catalog. Count. */
export const ALARM_WINDOW = 4096;
/** Alarms: the clock is looked at this often, in ms, for it may have been set. */
export const ALARM_LOOK_MS = 60_000;
/** Alarms: time before the first retry of one that threw, in ms; doubled with each further one. As Durable Objects do. */
export const ALARM_RETRY_MS = 2_000;
/** Alarms: retries of one that throws; then it has failed. Count. */
export const ALARM_RETRIES = 6;
/** Alarms: the longest wait of one that the node could not run (its cell does not open, the disk is full), in ms. */
export const ALARM_REFUSED_MS = 256_000;
/** Largest arguments of a scheduled call, in bytes as stored: a row of the cell's database. */
export const MAX_SCHEDULED_BYTES = 128 * 1024;
/** Longest message that is kept of a call that failed, in characters. */
export const MAX_FAILURE_LENGTH = 1000;

/** WebSockets: largest message from a client, in bytes; a larger one closes its socket with 1009. */
export const MAX_SOCKET_MESSAGE_BYTES = 1024 * 1024;
/** WebSockets: events of one socket that may wait or be in work; then the socket is read no further. Count. */
export const MAX_SOCKET_EVENTS = 64;
/** WebSockets: the same in bytes of messages, so that one socket holds at most this and one more message. */
export const MAX_SOCKET_EVENT_BYTES = MAX_SOCKET_MESSAGE_BYTES;
/** WebSockets: bytes that may wait for a client which does not read; beyond it the socket is cut. Also the largest frame. */
export const MAX_SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;
/** WebSockets: sockets of one cell, as Durable Objects have it. Count. */
export const MAX_SOCKETS_PER_CELL = 32_768;
/** WebSockets: share of the connections that sockets may take: ordinary requests must still get in. */
export const SOCKET_SHARE = 0.75;
/** WebSockets: tags of one socket, and characters of one tag, as Durable Objects have them. Counts. */
export const MAX_SOCKET_TAGS = 10;
export const MAX_SOCKET_TAG_LENGTH = 256;
/** WebSockets: largest attachment, in bytes as serialized, as Durable Objects have it. */
export const MAX_ATTACHMENT_BYTES = 16 * 1024;
/** WebSockets: largest request and response of an auto-response, in bytes each, as Durable Objects have it. */
export const MAX_AUTO_RESPONSE_BYTES = 2048;
/** WebSockets: time between two pings of a socket, in ms: below the 60 s after which common proxies cut what is silent. */
export const SOCKET_PING_MS = 30_000;
/** WebSockets: pings without an answer after which the other side counts as gone. Count. */
export const SOCKET_MISSED_PONGS = 2;
/** WebSockets: time that a client has to answer a close frame, in ms. */
export const SOCKET_CLOSE_MS = 5_000;
/** WebSockets: pause before an event that was refused because of load is tried again, in ms, and for how long, in ms. */
export const SOCKET_RETRY_MS = 100;
export const SOCKET_RETRY_FOR_MS = 30_000;

/** Bucket: time that one call may take unless it states another, in ms. */
export const BUCKET_DEADLINE_MS = 10_000;
/** Bucket: longest key below the prefix, in bytes: S3 has 1,024 for both together. */
export const MAX_BUCKET_KEY_BYTES = 768;
/** Bucket: parts into which a directory bucket escapes a key, in bytes each: file systems allow 255. */
export const MAX_BUCKET_PART_BYTES = 200;
/** Bucket: a temporary file in a directory bucket that has not been written for so long belongs to nobody, in ms. */
export const BUCKET_TEMP_MS = 3_600_000;
/** Bucket: objects in one listing unless the caller states another number: what S3 gives in one answer. Count. */
export const BUCKET_LIST_LIMIT = 1_000;
/** Bucket: first pause before a call is tried again, and the longest, in ms; doubled in between, with jitter. */
export const BUCKET_RETRY_MS = 100;
export const BUCKET_RETRY_MAX_MS = 10_000;
/** Bucket: the longest pause before the log of a run is tried again, in ms: what is not uploaded is on one disk only. */
export const LOG_RETRY_MAX_MS = 2_000;
/** Bucket: the beginning of an object that tells whose it is, in bytes: the id of its intent stands in it. */
export const BUCKET_INTENT_BYTES = 256;

/** Segments: records that one holds, in bytes; a larger record has a segment of its own. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;
/**
 * Objects: records that are compressed together, in bytes; a larger record has a block of its own. One is read with one GET. With
 * blocks of 64 KiB compressing took a fourth longer and gave more bytes; one of this size is inflated in 0.1 ms.
 */
export const OBJECT_BLOCK_RAW_BYTES = 128 * 1024;
/** Objects: largest footer, in bytes before compression: half a million small records. Who merges packs stops below it. */
export const MAX_FOOTER_BYTES = 64 * 1024 * 1024;

/** Bucket: bytes of one request of a restore, and requests under way at once: together what a restore holds in memory. Count. */
export const FETCH_BYTES = 4 * 1024 * 1024;
export const FETCHES_AT_ONCE = 8;
/** Bucket: slots that are taken, and cells that are made anew, at once: a crowd must hold up neither the lease nor all memory. Count. */
export const SLOTS_TAKEN_AT_ONCE = 16;
export const CELLS_FETCHED_AT_ONCE = 16;
/** Bucket: what is read of the end of an object to find its footer, in bytes: most footers are shorter. */
export const FOOTER_READ_BYTES = 64 * 1024;
/** Bucket: the longest that a stop waits until the end of the log is in the bucket, in ms; the next start does the rest. */
export const FINISH_GRACE_MS = 10_000;

/** Upload: a segment closes so long after its first byte, in ms; sooner while somebody waits for `bucket`. */
export const FLUSH_MS = 1_000;
export const FLUSH_AWAITED_MS = 250;
/** Upload: bytes that may wait on this disk for the bucket; beyond it writes are refused (OVERLOADED). */
export const UPLOAD_QUEUE_BYTES = 1024 * 1024 * 1024;
/** Lease: how long others wait for a sign of life from a run before they end it, in ms, unless the node states another. */
export const LEASE_TTL_MS = 6_000;
/** Lease: share of a TTL that watchers wait beyond it: clocks differ in rate, and a sleep of TTL/3 goes unnoticed. */
export const WATCH_MARGIN = 1 / 6;
/** Bucket: places of records that the bucket thread remembers of slots it has read, over all. Count. */
export const MAX_INDEXED_PLACES = 200_000;
/** Bucket: records in the footers that it remembers. Count. */
export const MAX_FOOTERS_RECORDS = 100_000;
/** Lease: the shortest that may be stated, in ms: a store may take a second for a renewal. */
export const MIN_TTL_MS = 3_000;
/** Bucket: tries of a call that may be repeated, within its deadline, unless it states another number. Count. */
export const BUCKET_TRIES = 5;
/** Bucket: an object above this size goes up in parts, so that a failure repeats one of them, in bytes. */
export const BUCKET_WHOLE_BYTES = 16 * 1024 * 1024;
/** Bucket: size of such a part, in bytes; S3 wants at least 5 MiB, and at most 10,000 of them: 78 GiB. */
export const BUCKET_PART_BYTES = 8 * 1024 * 1024;
/** Bucket: deletions of one call that are under way at once. Count. */
export const BUCKET_DELETES_AT_ONCE = 16;
/** Lease: time that running verbs have to end after a lapse, in ms; nobody hears of them before the bucket is back. */
export const REST_GRACE_MS = 2_000;
/** Slots that could not be opened in the background are tried again after so long, and at most so long, in ms. */
export const OPEN_RETRY_MS = 500;
export const OPEN_RETRY_MAX_MS = 60_000;
/** Log files that are in the bucket stay on the disk up to so many bytes: cells are made anew from them without a request. */
export const LOCAL_LOG_BYTES = 256 * 1024 * 1024;

/** Files: largest one, in bytes: one upload of it through a slow line ends within hours, and 128 parts hold it. */
export const MAX_FILE_BYTES = 1024 * 1024 * 1024;
/** Files: bytes that are read or handed over at once: what a slow reader of a stream keeps in memory. */
export const FILE_PIECE_BYTES = 1024 * 1024;
/** Files: one that was stored so lately is not stored again for another who puts it, in ms. */
export const FILE_FRESH_MS = 24 * 3600_000;
/** Files: none that was stored so lately is collected, whatever the retention, in ms: twice as long, for who found it fresh. */
export const FILE_KEEP_MS = 2 * FILE_FRESH_MS;
/** Files: after a deletion without an answer, which may happen late, the file is not put for so long, in ms. */
export const FILE_UNSURE_MS = 10 * 60_000;
/** Files: how often those that nobody names are looked for, and how long after a start, in ms. */
export const FILE_SWEEP_MS = 24 * 3600_000;
export const FIRST_FILE_SWEEP_MS = 3600_000;
/** Files: a look takes at most one part in so many of the time, for it reads all cells: the next one waits. Count. */
export const FILE_SWEEP_SHARE = 50;
/** Files: those that one look asks after; the next goes on behind them. Count: their names are held in memory. */
export const FILE_SWEEP_FILES = 100_000;
/** Files: how long a cell remembers which ones it has deleted, in ms: no retention may be longer. */
export const FILE_TRACE_MS = 400 * 24 * 3600_000;
/** Files: uploads, and reads, that are under way at once; each holds a part of its file in memory. Counts. */
export const FILE_UPLOADS_AT_ONCE = 4;
export const FILE_READS_AT_ONCE = 8;
/** Files: the slowest line over which an upload is waited for, in bytes a second. */
export const FILE_UPLOAD_BYTES_PER_S = 256 * 1024;
/** Files: longest name and type that are kept with one, in characters. */
export const MAX_FILE_LABEL = 1024;

/** Packs: pages of one merged record, in bytes; a cell with more has several. A reader of one page fetches so much. */
export const MERGED_RECORD_BYTES = 1024 * 1024;
/** Packs: what is held of the objects that are being merged, in bytes over all of them. */
export const PACK_READ_BYTES = 32 * 1024 * 1024;
/** Packs: runs whose packs the bucket thread has listed and remembers. Count. */
export const MAX_LISTED_RUNS = 1_000;
/** Packs: how often the reading of a slot begins anew because an object that was listed is gone. Count. */
export const SLOT_READ_TRIES = 3;
/** Packs: segments that make one, and how long fewer of them wait, in ms. Count. */
export const PACK_SEGMENTS = 32;
export const PACK_AFTER_MS = 60_000;
/** Packs: neighbours of one level that are merged into one of the next. Count. */
export const PACK_FAN_IN = 4;
/** Packs: the objects that are merged into one, in bytes: it is made in memory, and goes up in one request. */
export const MAX_PACK_BYTES = 64 * 1024 * 1024;
/** Packs: largest footer, in bytes before compression: whoever opens a slot reads it whole. Some sixty thousand records. */
export const MAX_PACK_FOOTER_BYTES = 8 * 1024 * 1024;
/** Packs: pages of one slot that are held while one is made, in bytes: what compresses well is small only in the bucket. */
export const MAX_PACK_PAGE_BYTES = 128 * 1024 * 1024;
/** Packs: how long one that was merged into a larger one is kept for those who read it, in ms. */
export const PACK_GRACE_MS = 600_000;
/** Packs: how often it is looked whether there is something to pack, in ms. */
export const PACK_LOOK_MS = 2_000;
/** Packs: pause after a failure, in ms, doubled with each further one, and the longest. */
export const PACK_RETRY_MS = 15_000;
export const PACK_RETRY_MAX_MS = 3_600_000;
/** Packs: time that their making may take of the bucket thread at a time, in ms: leases are renewed by it too. */
export const PACK_TURN_MS = 10;
/** Packs: time that the create of one may take, in ms: the largest over a line of 10 Mbit/s. */
export const PACK_CREATE_MS = 60_000;

/** Retention: how far back one can go in the bucket, in ms, unless the node states another; the shortest and the longest. */
export const RETENTION_MS = 7 * 24 * 3600_000;
export const MIN_RETENTION_MS = 600_000;
export const MAX_RETENTION_MS = FILE_TRACE_MS;
/** Slots: ranges of logs that one record carries; beyond it those go that the newest checkpoint covers. Count. */
export const MAX_SLOT_SOURCES = 256;
/** Bucket: how far its clock and that of a machine may differ before something is thought to be older than it is, in ms. */
export const CLOCK_MARGIN_MS = 600_000;

/** Checkpoints: a slot has one when so much was logged since the last, in bytes, or half its size, whichever is more. */
export const CHECKPOINT_BYTES_CHANGED = 256 * 1024;
/** Checkpoints: with less, after this long, in ms, if a sixteenth of its size was logged; with any change after a day. */
export const CHECKPOINT_SOON_MS = 3600_000;
export const CHECKPOINT_DAY_MS = 24 * 3600_000;
/** Checkpoints: the least time between two of a slot, in ms: seven days of them are two thousand objects. */
export const CHECKPOINT_PAUSE_MS = 300_000;
/** Checkpoints: a slot that is read through so many ranges of logs has one, however little is in them. Count. */
export const CHECKPOINT_RANGES = 12;
/** Checkpoints: the least time between two of any slots, in ms: with one every five seconds a day costs ten cents. */
export const CHECKPOINT_PACE_MS = 5_000;
/** Checkpoints: pause after a failure, in ms, doubled with each further one, and the longest. */
export const CHECKPOINT_RETRY_MS = 30_000;
export const CHECKPOINT_RETRY_MAX_MS = 3600_000;
/** Cells above this size, in bytes, are not in the checkpoint of their slot: they have snapshots of their own. */
export const LARGE_CELL_BYTES = 4 * 1024 * 1024;
/** Snapshots: what must have changed at least before a cell has a new one, in bytes. */
export const SNAPSHOT_DELTA_BYTES = 1024 * 1024;
/** Checkpoints and clean-up: how often it is looked whether there is something to do, in ms. */
export const HOUSEKEEPING_LOOK_MS = 5_000;
/** Clean-up: records of slots that were replaced stay for so long, in ms. */
export const SLOT_RECORD_KEEP_MS = 600_000;
/** Clean-up: what names a snapshot stands at the latest so long after it, in ms: several of a gigabyte may go up in between. */
export const SNAPSHOT_KEEP_MS = 24 * 3600_000;
/** Clean-up: the least time between two, in ms, and the requests that a day of them may take. Count. */
export const CLEAN_UP_MS = 600_000;
export const CLEAN_UP_REQUESTS_PER_DAY = 20_000;
/** Clean-up: how long after a start the first is, in ms: a start has other things to do. */
export const FIRST_CLEAN_UP_MS = 10_000;
/** Clean-up: objects that one looks into; the rest is left to the next. Count. */
export const CLEAN_UP_LOOKS = 2_000;

/** Backup: objects that are copied, or looked into, at once; each holds BUCKET_PART_BYTES at most. Count. */
export const BACKUP_AT_ONCE = 8;
/** Backup: looks over a bucket from which objects go while it is copied, until it is given up. Count. */
export const BACKUP_PASSES = 5;

/** The past of cells, for the app: commits that are listed where nobody says how many, and at most. Count. */
export const HISTORY_LIMIT = 100;
export const MAX_HISTORY_LIMIT = 10_000;
/** The past of cells, for the app: histories, looks, restores and archives that are made at once. Count. */
export const PAST_AT_ONCE = 4;

/** Erasing: how often it is looked again what is left of erased cells, and how long after a start, in ms. */
export const ERASE_LOOK_MS = 6 * 3600_000;
export const FIRST_ERASE_LOOK_MS = 60_000;
/** Erasing: how long after the retention the last segment is cut away at the latest, in ms: a slot has a checkpoint a day. */
export const ERASE_MARGIN_MS = 2 * 24 * 3600_000;
