// `npm run demo`: starts the mail app, delivers 6,046 real messages to it over real SMTP, says what to try.
//
// Rule: it can be stopped or killed at any moment and run again. What an earlier run delivered stands in its ledger and
// is skipped; what was delivered but not noted is delivered again, and the mailboxes know it by its bytes.

import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { feed, Ledger, type Refusal } from "./demo/feeder.ts";
import { corpusPlan, type Plan } from "./demo/plan.ts";
import { Progress } from "./demo/progress.ts";
import { freePort, type MailServer, startServer } from "./demo/server.ts";
import { boxLink } from "./links.ts";

const USAGE = `npm run demo -- [--data FOLDER] [--port N] [--smtp-port N] [--limit N] [--every N] [--once]

  --data FOLDER   where the demo keeps everything (.frond/demo at the top of the workspace); a second demo
                  beside a running one needs a folder of its own, and takes free ports unless told which
  --port N        port of the page (7070, or a free one)
  --smtp-port N   port for mail (2525, or a free one)
  --limit N       deliver only the first N messages
  --every N       deliver only one message in N
  --once          deliver, compare, stop`;

/** A mailing list of the corpus and a word that it speaks of. */
const EXAMPLE = { mailbox: "ilug@linux.ie", word: "kernel" };

interface Options {
  readonly folder: string;
  readonly port: number | undefined;
  readonly smtpPort: number | undefined;
  readonly limit: number;
  readonly every: number;
  readonly once: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      data: { type: "string" },
      port: { type: "string" },
      "smtp-port": { type: "string" },
      limit: { type: "string" },
      every: { type: "string" },
      once: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const folder = values.data ?? path.join(import.meta.dirname, "../../../.frond/demo");
  return {
    // npm runs this in the folder of the app; what a person types is meant from where they are.
    folder: path.resolve(process.env["INIT_CWD"] ?? ".", folder),
    port: numberOption("--port", values.port, 65_535),
    smtpPort: numberOption("--smtp-port", values["smtp-port"], 65_535),
    limit: numberOption("--limit", values.limit, Number.MAX_SAFE_INTEGER) ?? Number.MAX_SAFE_INTEGER,
    every: numberOption("--every", values.every, Number.MAX_SAFE_INTEGER) ?? 1,
    once: values.once,
  };
}

function numberOption(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text) || Number(text) > most)
    throw new Error(`${name} is a number from 1 to ${most}, not "${text}"`);
  return Number(text);
}

async function main(): Promise<number> {
  const options = readOptions();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

  const server = await startServer({
    folder: options.folder,
    port: options.port ?? (await freePort(7070)),
    smtpPort: options.smtpPort ?? (await freePort(2525)),
  });
  // A server that was killed ends the demo too.
  let died: number | NodeJS.Signals | undefined;
  void server.ended.then((how) => {
    died = how;
    stop.abort();
  });
  try {
    const plan = corpusPlan(options.limit, options.every);
    const right = await deliver(plan, server, options.folder, stop.signal);
    if (!options.once && !stop.signal.aborted) {
      console.log(advice(plan, server));
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve, { once: true }));
    }
    if (died !== undefined) return serverEnded(died, right ? 0 : 1);
    return right ? 0 : 1;
  } catch (error) {
    if (died !== undefined) return serverEnded(died, 130);
    if (stop.signal.aborted) return 130;
    throw error;
  } finally {
    await server.stop();
  }
}

// True if the mailboxes hold at least what they should (mail sent by hand may have joined it).
async function deliver(plan: Plan, server: MailServer, folder: string, signal: AbortSignal): Promise<boolean> {
  const ledgerFile = path.join(folder, "delivered.txt");
  // Without its data a ledger means nothing.
  if ((await totals(server)).messages === 0) rmSync(ledgerFile, { force: true });
  const had = existsSync(ledgerFile);
  const ledger = new Ledger(ledgerFile);
  const names = [...plan.envelopes.keys()].filter((name) => !ledger.has(name));
  console.log(introduction(plan, names.length, had));

  let refusals: Refusal[] = [];
  if (names.length > 0) {
    const progress = new Progress(process.stdout, names.length);
    try {
      const step = (): void => progress.step();
      refusals = await feed(plan, names, { host: server.host, port: server.smtpPort, ledger, step, signal });
    } finally {
      progress.finish();
    }
  }
  for (const { name, recipient, answer } of refusals) console.log(`  refused: ${name} for ${recipient}: ${answer}`);
  const now = await totals(server);
  const right = now.mailboxes >= plan.mailboxes.size && now.messages >= plan.copies;
  const isExact = now.mailboxes === plan.mailboxes.size && now.messages === plan.copies;
  const verdict = right
    ? `${isExact ? "" : "at least "}as many as the corpus asks for`
    : `but the corpus asks for ${n(plan.mailboxes.size)} and ${n(plan.copies)}`;
  console.log(`\n  ${n(now.mailboxes)} mailboxes hold ${n(now.messages)} messages, ${verdict}.`);
  return right && refusals.length === 0;
}

async function totals(server: MailServer): Promise<{ mailboxes: number; messages: number }> {
  const response = await fetch(`http://${server.host}:${server.port}/totals`);
  if (!response.ok) throw new Error(`the server answered ${response.status} when it was asked how much mail it holds`);
  return (await response.json()) as { mailboxes: number; messages: number };
}

function introduction(plan: Plan, open: number, again: boolean): string {
  const all = plan.envelopes.size;
  const lines = [
    `  The SpamAssassin corpus: ${n(all + plan.nobody)} real messages, from around 2002.`,
    `  ${n(all)} of them name ${n(plan.mailboxes.size)} recipients; ${n(plan.nobody)} name nobody and stay out.`,
  ];
  if (again) lines.push(`  ${n(all - open)} were delivered by an earlier run and are skipped.`);
  return `\n${lines.join("\n")}\n`;
}

function advice(plan: Plan, server: MailServer): string {
  const page = `http://${server.host}:${server.port}`;
  const [fullest = ""] = [...plan.mailboxes].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const example = plan.mailboxes.has(EXAMPLE.mailbox) ? EXAMPLE.mailbox : fullest;
  return `
  Read     ${page}/
  Search   ${page}${boxLink(example)}?q=${EXAMPLE.word}
  Send     any mail program: SMTP to ${server.host} port ${server.smtpPort}, any address
  Look     npx frond cells --data ${server.dataDirectory}
  Kill     kill -9 ${server.pid}    then npm run demo again: all mail is still there

  The fullest mailbox is ${fullest}. Ctrl-C ends the demo.`;
}

// The exit code: the given one if somebody stopped the server as one should.
function serverEnded(how: number | NodeJS.Signals, stopped: number): number {
  if (how === 0) {
    console.log("\n  The server stopped cleanly. Run npm run demo again: all mail is still there.");
    return stopped;
  }
  console.log(
    `\n  The server was ended from outside (${how}). Run npm run demo again: what it had acknowledged is still there.`,
  );
  return 1;
}

function n(value: number): string {
  return value.toLocaleString("en");
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n  ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
