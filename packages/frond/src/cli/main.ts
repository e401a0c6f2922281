// The command `frond`.
//
// Rule: results on standard output, everything else on standard error; exit code 0, 1 for what could not be done, 2 for
// a wrong command line. Every error is `error CODE: message` and says what to do; a mistyped word gets the right one.

import { Command, CommanderError } from "commander";
import { FrondError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { VERSION } from "../version.ts";
import { addAlarms } from "./alarms.ts";
import { addBackup } from "./backup.ts";
import { addCall } from "./call.ts";
import { addDelete } from "./delete.ts";
import { addDev } from "./dev.ts";
import { addDoctor } from "./doctor.ts";
import { addErase } from "./erase.ts";
import { EXIT_FAILED, EXIT_USAGE } from "./exits.ts";
import { addExport } from "./export.ts";
import { addHistory } from "./history.ts";
import { addImport } from "./import.ts";
import { addInspection } from "./inspect.ts";
import { resolveToSources } from "./hooks.ts";
import { printError } from "./output.ts";
import { addParked } from "./parked.ts";
import { addRestore } from "./restore.ts";
import { addSql } from "./sql.ts";
import { addStart } from "./start.ts";

/** How the command was started. */
export interface MainOptions {
  /** It runs from TypeScript sources, not from a published package. */
  readonly source: boolean;
}

/** Runs the command line `argv` (without the program's own name) and sets the exit code of the process. */
export async function main(argv: readonly string[], options: MainOptions): Promise<void> {
  if (options.source) resolveToSources();
  // A reader that has seen enough (`frond cells | head`) is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });
  const json = argv.includes("--json");
  try {
    await makeProgram(json).parseAsync(argv, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
      return;
    }
    printError(error, json);
    // Not only the exit code: an app that was loaded and could not be served may have left timers.
    process.exit(isUsage(error) ? EXIT_USAGE : EXIT_FAILED);
  }
}

function makeProgram(json: boolean): Command {
  const program = new Command("frond")
    .description("Application servers made of cells: code plus its own SQLite database.")
    .version(VERSION)
    .exitOverride()
    .configureOutput({ outputError: (text) => printUsageError(text, json) })
    .helpCommand(false)
    .addHelpText("after", HELP);
  addDev(program);
  addStart(program);
  addInspection(program);
  addDoctor(program);
  addAlarms(program);
  addParked(program);
  addSql(program);
  addCall(program);
  addExport(program);
  addImport(program);
  addHistory(program);
  addRestore(program);
  addDelete(program);
  addErase(program);
  addBackup(program);
  program.command("help").argument("[command...]").description("explain a command").action(explain);
  return program;
}

/** Commander's own shows everything, and no error, for a word that it does not know, and knows no command of a command. */
function explain(words: readonly string[], _options: object, help: Command): void {
  let about = help.parent as Command;
  for (const word of words) {
    const next = about.commands.find((command) => command.name() === word);
    if (next === undefined) {
      const names = about.commands.map((command) => command.name());
      const meant = nearest(word, names);
      const hint = meant === undefined ? "frond help lists what there is" : `did you mean ${meant}?`;
      throw new FrondError("BAD_OPTION", `there is no command ${JSON.stringify(word)} to explain; ${hint}`);
    }
    about = next;
  }
  about.outputHelp();
}

const HELP = `
Examples:
  frond dev app.ts                                    write an app
  frond start app.ts --data /var/lib/shop             serve it
  frond cells                                         see its cells
  frond sql mailbox/alice "SELECT * FROM message"     look into one

\`frond COMMAND --help\` explains a command.`;

/** What commander found wrong, in the form of every other error. */
function printUsageError(text: string, json: boolean): void {
  const message = text
    .replace(/^error: /, "")
    .trim()
    .replaceAll(/\s*\n\s*/g, " ");
  printError(Object.assign(new Error(message), { code: "BAD_OPTION" }), json);
}

function isUsage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "BAD_OPTION" || code === "BAD_ADDRESS";
}
