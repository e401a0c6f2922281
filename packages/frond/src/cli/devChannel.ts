// What a node under `frond dev` tells its parent.

/** Set in the environment of a node that `frond dev` started. */
export const DEV_VARIABLE = "FROND_DEV";

/** Set beside it: names by which the node may be asked for, with commas between. */
export const HOSTS_VARIABLE = "FROND_DEV_HOSTS";

/** One message: a file that the app loads, the address that it listens on, or the code of what kept it from starting. */
export interface DevMessage {
  readonly loaded?: string;
  readonly listening?: { readonly host: string; readonly port: number } | undefined;
  readonly failed?: string;
}

/** Sends `message`, if a parent still listens. */
export function tellParent(message: DevMessage): void {
  if (process.connected) process.send?.(message);
}
