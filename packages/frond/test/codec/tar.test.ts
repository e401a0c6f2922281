// Headers of an archive: what is written is read back, sizes of any length; what is none is refused.

import { expect, test } from "vitest";
import { decodeTarHeader, encodeTarHeader, TAR_BLOCK, tarPadding } from "../../src/codec/tar.ts";

test("a header is read back, sizes of 8 GiB and more included", () => {
  for (const size of [0, 1, 511, 512, 8 ** 11 - 1, 8 ** 11, 2 ** 45]) {
    const header = encodeTarHeader({ name: "cell.db", size }, 1_700_000_000_000);
    expect(header).toHaveLength(TAR_BLOCK);
    expect(decodeTarHeader(header, "x")).toEqual({ name: "cell.db", size });
  }
  expect(() => encodeTarHeader({ name: "a".repeat(101), size: 0 }, 0)).toThrow(RangeError);
});

test("contents are padded to blocks", () => {
  expect([0, 1, 511, 512, 513].map(tarPadding)).toEqual([0, 511, 1, 0, 511]);
});

test("zeros are the end, and everything else that is no header of a file is damage", () => {
  expect(decodeTarHeader(Buffer.alloc(TAR_BLOCK), "x")).toBeUndefined();
  const header = encodeTarHeader({ name: "cell.db", size: 5 }, 0);
  const wrong = (change: (bytes: Buffer) => void): Buffer => {
    const copy = Buffer.from(header);
    change(copy);
    return copy;
  };
  const summed = (bytes: Buffer): void => {
    bytes.fill(0x20, 148, 156);
    const sum = bytes.reduce((all, byte) => all + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  };
  const damaged = [
    header.subarray(0, 511),
    Buffer.alloc(TAR_BLOCK, "a"),
    wrong((bytes) => (bytes[0] = 0x64)),
    wrong((bytes) => {
      bytes[156] = 0x35;
      summed(bytes);
    }),
    wrong((bytes) => {
      bytes.write("0000000000x", 124, "latin1");
      summed(bytes);
    }),
  ];
  for (const bytes of damaged)
    expect(() => decodeTarHeader(bytes, "x.tar")).toThrow(expect.objectContaining({ code: "OBJECT_DAMAGED" }));
});
