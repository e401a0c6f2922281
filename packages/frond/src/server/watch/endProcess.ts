// The end of the process from another thread than the main one, with an exit code.
//
// Rule: it must work whatever the main thread is inside of, and as process 1 of a container, which no signal of its own
// ends. In a thread `process.exit` ends the thread alone; what reaches the `exit` of the C library from there is the
// system interface of WebAssembly, whose `proc_exit` Node hands on. A signal is for when even that is not there.
// Rejected: a signal in the first place (no exit code, and nothing happens in a container), a parent that watches (a
// second process for every node), `process.abort` (not in a thread, and it writes the memory to disk).

/** The event loop was held and could not be freed: the process is to be started again (sysexits' EX_TEMPFAIL). */
export const EXIT_STUCK = 75;

/** Ends the process. For threads that are not the main one. */
export async function endProcess(code: number): Promise<never> {
  try {
    const { WASI } = await import("node:wasi");
    const wasi = new WASI({ version: "preview1", returnOnExit: false });
    const { Module, Instance } = Reflect.get(globalThis, "WebAssembly") as WebAssembly;
    wasi.start(new Instance(new Module(exitProgram(code)), wasi.getImportObject()));
  } catch {
    // Below.
  }
  process.kill(process.pid, "SIGKILL");
  // Only where the process is number 1 and its Node has no WASI.
  return new Promise(() => {});
}

/** As much of it as is used here. */
interface WebAssembly {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => object;
}

/** A WebAssembly program that calls `proc_exit` with `code`, below 64 * 128. */
function exitProgram(code: number): Uint8Array {
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const section = (id: number, body: number[]): number[] => [id, body.length, ...body];
  const head = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([
    ...head,
    // Types: (i32) -> (), () -> ().
    ...section(1, [2, 0x60, 1, 0x7f, 0, 0x60, 0, 0]),
    ...section(2, [1, ...name("wasi_snapshot_preview1"), ...name("proc_exit"), 0, 0]),
    // One function of the second type, and the memory that the interface asks for.
    ...section(3, [1, 1]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("_start"), 0, 1]),
    // i32.const code (LEB128, two bytes), call 0, end.
    ...section(10, [1, 7, 0, 0x41, 0x80 | (code & 0x7f), (code >> 7) & 0x3f, 0x10, 0, 0x0b]),
  ]);
}
