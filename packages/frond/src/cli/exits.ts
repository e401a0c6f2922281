// Exit codes of the command.

/** The command could not do what was asked. */
export const EXIT_FAILED = 1;
/** The command line was wrong. */
export const EXIT_USAGE = 2;
/** A node failed while it ran (sysexits' EX_SOFTWARE); the same code as when its log fails. */
export const EXIT_FATAL = 70;
/** Code held the event loop and could not be ended: start the node again. */
export { EXIT_STUCK } from "../server/watch/endProcess.ts";
