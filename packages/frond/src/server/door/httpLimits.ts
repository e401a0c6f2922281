// The bounds of a front door, with the numbers that hold where none are given.
//
// Rule: everything that a client can make grow has a bound here. Why an object and not the constants themselves: tests
// meet a bound with small numbers.

import {
  HEADER_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  MAX_HEADER_BYTES,
  MAX_OPEN_REQUESTS,
  MAX_URL_BYTES,
  REQUEST_TIMEOUT_MS,
  SOCKET_SHARE,
} from "../../limits.ts";
import { shareDescriptors } from "../descriptors.ts";

/** Bounds of one front door; those not given are the numbers of limits.ts. */
export interface HttpLimits {
  readonly headerBytes: number;
  readonly urlBytes: number;
  readonly bodyBytes: number;
  readonly openRequests: number;
  readonly connections: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
  /** WebSockets, open and asked for: part of the connections. */
  readonly sockets: number;
}

/** What limits.ts and the descriptors of this process allow. */
export const DEFAULT_LIMITS: HttpLimits = {
  headerBytes: MAX_HEADER_BYTES,
  urlBytes: MAX_URL_BYTES,
  bodyBytes: MAX_BODY_BYTES,
  openRequests: MAX_OPEN_REQUESTS,
  connections: shareDescriptors().connections,
  headerTimeoutMs: HEADER_TIMEOUT_MS,
  requestTimeoutMs: REQUEST_TIMEOUT_MS,
  keepAliveMs: KEEP_ALIVE_MS,
  sockets: Math.floor(shareDescriptors().connections * SOCKET_SHARE),
};
