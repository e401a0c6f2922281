// A slice of the fuzzing of bytes, with a fixed seed; and that each oracle catches an entrance that is broken.

import { describe } from "vitest";
import { crc32 } from "node:zlib";
import { decodeBatchHeader, decodeFileHeader } from "../../src/codec/logfile.ts";
import { decodeRecord } from "../../src/codec/record.ts";
import { readChain } from "../../src/log/chain.ts";
import { makePack } from "../../src/log/pack.ts";
import { scanLogFile } from "../../src/log/scan.ts";
import type { Txid } from "../../src/types.ts";
import { resummed } from "../codec/live.ts";
import { READERS, summedTrailer } from "../codec/objects.ts";
import { headersTarget } from "./headers.ts";
import { logTarget } from "./logFiles.ts";
import { objectsTarget } from "./objects.ts";
import { packsTarget } from "./packs.ts";
import { recordTarget } from "./record.ts";
import { catches, holds } from "./slice.ts";
import { tailTarget } from "./tail.ts";
import { readByCodec, walTarget } from "./wal.ts";

describe("the write-ahead log of a cell", () => {
  holds(walTarget());

  const unchecked = walTarget((wal, chunk, shift) => {
    const sound = wal.length < 32 ? wal : resummed(wal, wal.readUInt32BE(8), (wal[3] as number) % 2 === 1);
    return readByCodec(sound, chunk, shift);
  });
  catches("a reader that checks no checksum", unchecked);

  const half = walTarget((wal, chunk, shift) => {
    const commits = readByCodec(wal, chunk, shift);
    const last = commits?.at(-1);
    return last === undefined || last.pages.size < 3 ? commits : commits?.slice(0, -1);
  });
  catches("a reader that overlooks large commits", half);

  const over = walTarget((wal, chunk, shift) => {
    wal.readUInt32BE(28);
    return readByCodec(wal, chunk, shift);
  });
  catches("a reader that does not look where the bytes end", over);
});

describe("records", () => {
  holds(recordTarget());

  const unchecked = recordTarget((bytes, at, limit, where) => {
    const copy = Buffer.from(bytes);
    if (at + 8 <= limit) {
      const end = at + copy.readUInt32LE(at + 4) - 4;
      if (end > at && end + 4 <= limit) copy.writeUInt32LE(crc32(copy.subarray(at, end)), end);
    }
    return decodeRecord(copy, at, limit, where);
  });
  catches("a decoder that checks no checksum", unchecked);

  const over = recordTarget((bytes, at, limit, where) => {
    Buffer.from(bytes).readUInt32LE(at + Buffer.from(bytes).readUInt32LE(at + 4) - 4);
    return decodeRecord(bytes, at, limit, where);
  });
  catches("a decoder that does not check the length", over);

  const misread = recordTarget((bytes, at, limit, where) => {
    const record = decodeRecord(bytes, at, limit, where);
    return { ...record, txid: (record.txid % 2 ** 48) as Txid };
  });
  catches("a decoder that reads six bytes of a txid", misread);
});

describe("headers of log files and batches", () => {
  holds(headersTarget());

  const unchecked = headersTarget({
    file: (bytes, file) => {
      const copy = Buffer.from(bytes);
      if (copy.length >= 64) copy.writeUInt32LE(crc32(copy.subarray(0, 60)), 60);
      return decodeFileHeader(copy, file);
    },
    batch: decodeBatchHeader,
  });
  catches("a decoder that checks no checksum", unchecked);

  const over = headersTarget({
    file: decodeFileHeader,
    batch: (bytes, at, where) => {
      Buffer.from(bytes).readUInt32LE(at + 36);
      return decodeBatchHeader(bytes, at, where);
    },
  });
  catches("a decoder that does not look where the bytes end", over);
});

describe("log files on a disk", () => {
  holds(logTarget());

  const twice = logTarget({
    chain: readChain,
    scan: (entry, lsn, onRecord, behind) => {
      const seen: (() => void)[] = [];
      const scan = scanLogFile(entry, lsn, (...args) => seen.push(() => onRecord(...args)), behind);
      for (const give of scan.damage === undefined ? seen : [...seen, ...seen]) give();
      return scan;
    },
  });
  catches("a scan that gives records twice after damage", twice);

  const trusting = logTarget({
    chain: readChain,
    scan: (entry, lsn, onRecord, behind) => {
      const scan = scanLogFile(entry, lsn, onRecord, behind);
      return { ...scan, validBytes: scan.damage === undefined ? scan.validBytes : scan.size };
    },
  });
  catches("a scan that goes on behind damage", trusting);

  const stale = logTarget({
    scan: scanLogFile,
    chain: (pathOf, address, last) => {
      const content = readChain(pathOf, address, last);
      const first = content.pages.get(1);
      return { ...content, pages: new Map([...content.pages, [1, Buffer.alloc(first?.length ?? 0, 1)]]) };
    },
  });
  catches("a rebuild with a page of an earlier commit", stale);
});

describe("the tail of a log on a disk", () => {
  holds(tailTarget());

  const quiet = tailTarget((tail, through, maxBytes) => {
    try {
      return tail.read(through, maxBytes).list();
    } catch {
      return [];
    }
  });
  catches("a tail that takes damage for the end", quiet);

  const first = tailTarget((tail, through, maxBytes) => tail.read(through, maxBytes).list().slice(0, 2));
  catches("a tail that loses records", first);
});

describe("objects of the bucket", () => {
  holds(objectsTarget());

  const { decodeObjectHeader, locateFooter, decodeFooter } = READERS;
  const header: typeof decodeObjectHeader = (bytes, where) => {
    const copy = Buffer.from(bytes);
    if (copy.length >= 64) copy.writeUInt32LE(crc32(copy.subarray(0, 60)), 60);
    return decodeObjectHeader(copy, where);
  };
  catches("a header whose checksum is not checked", objectsTarget({ ...READERS, decodeObjectHeader: header }));

  const trailer: typeof locateFooter = (tail, size, where) => {
    const end = Buffer.from(tail.subarray(-32));
    return locateFooter(end.length < 32 ? end : summedTrailer(end), size, where);
  };
  catches("a trailer whose checksum is not checked", objectsTarget({ ...READERS, locateFooter: trailer }));

  const over: typeof locateFooter = (tail, size, where) => {
    Buffer.from(tail).readUInt32LE(tail.length - 32);
    return locateFooter(tail, size, where);
  };
  catches("a reader that does not look where the bytes begin", objectsTarget({ ...READERS, locateFooter: over }));

  const misread: typeof decodeFooter = (stored, stated, where) => {
    const read = decodeFooter(stored, stated, where);
    return { ...read, lastMs: read.lastMs % 2 ** 48 };
  };
  catches("a reader that reads six bytes of a time", objectsTarget({ ...READERS, decodeFooter: misread }));
});

describe("packs of segments", () => {
  holds(packsTarget());

  const forgiving = packsTarget(async (bucket, parts) => {
    try {
      return await makePack(bucket, parts);
    } catch (error) {
      return parts.length === 1 ? Promise.reject(error) : makePack(bucket, parts.slice(0, 1));
    }
  });
  catches("a merge that leaves out what it cannot read", forgiving);
});
