// What a front door answers by itself, below /_frond/: whether the process lives, and whether it takes requests.
//
// Rule: these are answered before any bound is looked at, for who asks wants to know that the node is in trouble.

import type { ServerResponse } from "node:http";
import { type Refusal, writeJson } from "./refusal.ts";

/** How the node is: `refuse` closes the door with a 503, `ready` is for load balancers only. */
export interface DoorState {
  readonly ready: boolean;
  readonly refuse?: "overloaded" | "stopping" | undefined;
}

/** Targets below it are never the app's. */
export const RESERVED = "/_frond/";
const HEALTH = "/_frond/health";
const READY = "/_frond/ready";

const NOT_FOUND: Refusal = { status: 404, code: "NOT_FOUND", message: "there is nothing here" };
const NO_METHOD: Refusal = { status: 405, code: "METHOD_NOT_ALLOWED", message: "only GET and HEAD are answered here" };

/** Why a node in this state takes no requests; undefined: it does. */
export function unready(state: DoorState): string | undefined {
  return state.refuse ?? (state.ready ? undefined : "starting");
}

/** Answers, or returns why not. `reason`: why the node takes no requests, if so. */
export function answerReserved(
  target: string,
  method: string | undefined,
  outgoing: ServerResponse,
  reason: string | undefined,
): Refusal | undefined {
  const query = target.indexOf("?");
  const resource = query === -1 ? target : target.slice(0, query);
  if (resource !== HEALTH && resource !== READY) return NOT_FOUND;
  if (method !== "GET" && method !== "HEAD") return NO_METHOD;
  if (resource === HEALTH) writeJson(outgoing, 200, { alive: true });
  else if (reason === undefined) writeJson(outgoing, 200, { ready: true });
  else writeJson(outgoing, 503, { ready: false, reason });
  return undefined;
}
