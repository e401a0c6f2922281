// A small SMTP client: one connection that sends messages one after another.
//
// Rule: a message is delivered only where the server said 250 after its last byte; all else is told to the caller,
// recipient by recipient. Commands of one message go out together (PIPELINING), so a message costs two round trips.
// Rejected: a mail library. The crash tests must know exactly which bytes were sent and which answers were read.

import { connect, type Socket } from "node:net";
import { once } from "node:events";

/** Silence after which a server is given up, in ms. */
const REPLY_TIMEOUT_MS = 60_000;

/** An answer of the server: code and text, lines joined by spaces. */
export interface Reply {
  readonly code: number;
  readonly text: string;
}

/** What became of one message. */
export interface Sent {
  /** The answer to the whole message, or to the command that ended the attempt. */
  readonly reply: Reply;
  /** Recipients that the server accepted by name: they have the message now if `reply` is 250. */
  readonly accepted: readonly string[];
  /** Recipients that the server refused by name, and how. */
  readonly refused: readonly { readonly recipient: string; readonly reply: Reply }[];
}

/** The bytes of a message as SMTP carries it: lines end with CR LF, the last one too. */
export function smtpBytes(raw: Buffer): Buffer {
  const text = raw.toString("latin1").replace(/\r?\n/g, "\r\n");
  return Buffer.from(text.endsWith("\r\n") ? text : `${text}\r\n`, "latin1");
}

/** One connection to an SMTP server. */
export class SmtpClient {
  readonly #socket: Socket;
  readonly #replies: Reply[] = [];
  #partial = "";
  #lines: string[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(REPLY_TIMEOUT_MS, () => socket.destroy(new Error("the mail server is silent")));
    socket.on("data", (chunk) => this.#read(chunk.toString("latin1")));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the mail server closed the connection")));
  }

  /** Connects and says hello. Rejects if the server is not there or does not want to talk. */
  static async open(host: string, port: number): Promise<SmtpClient> {
    const socket = connect({ host, port });
    await once(socket, "connect");
    const client = new SmtpClient(socket);
    await client.#expect(220);
    await client.command("EHLO demo.localhost", 250);
    return client;
  }

  /** Sends one command line and reads its answer. With `expected`, any other code is an error. */
  async command(line: string, expected?: number): Promise<Reply> {
    this.#socket.write(`${line}\r\n`);
    return expected === undefined ? this.#reply() : this.#expect(expected);
  }

  /** Sends a message. Rejects if the connection breaks: what the server has done is then unknown, and safe to repeat. */
  async send(sender: string, recipients: readonly string[], raw: Buffer): Promise<Sent> {
    const commands = [`MAIL FROM:<${sender}>`, ...recipients.map((recipient) => `RCPT TO:<${recipient}>`), "DATA"];
    this.#socket.write(commands.map((line) => `${line}\r\n`).join(""));
    const from = await this.#reply();
    const accepted: string[] = [];
    const refused: { recipient: string; reply: Reply }[] = [];
    for (const recipient of recipients) {
      const reply = await this.#reply();
      if (reply.code === 250) accepted.push(recipient);
      else refused.push({ recipient, reply });
    }
    const data = await this.#reply();
    if (data.code !== 354) {
      await this.command("RSET", 250);
      return { reply: from.code === 250 ? data : from, accepted, refused };
    }
    this.#socket.write(stuffed(smtpBytes(raw)));
    this.#socket.write(".\r\n");
    return { reply: await this.#reply(), accepted, refused };
  }

  /** Writes bytes as they are, for tests that break the rules. */
  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The next answer. */
  read(): Promise<Reply> {
    return this.#reply();
  }

  /** Says goodbye and closes. */
  close(): void {
    this.#socket.end("QUIT\r\n");
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  async #expect(code: number): Promise<Reply> {
    const reply = await this.#reply();
    if (reply.code !== code) throw new Error(`the mail server answered ${reply.code} ${reply.text}, not ${code}`);
    return reply;
  }

  async #reply(): Promise<Reply> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #read(text: string): void {
    const lines = (this.#partial + text).split("\r\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) {
      this.#lines.push(line.slice(4));
      if (line[3] === "-") continue;
      this.#replies.push({ code: Number(line.slice(0, 3)), text: this.#lines.join(" ") });
      this.#lines = [];
    }
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

// A line that begins with a dot gets a second one, so that no line of a message ends it.
function stuffed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("latin1").replace(/(^|\r\n)\./g, "$1.."), "latin1");
}
