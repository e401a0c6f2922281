// The client of object stores: loaded when one is used, and set up so that it adds nothing of its own.
//
// Rule: one request per call. The client's own retries are off, since a create whose first try succeeded unheard would
// be answered 412 for its own success; what may be repeated is repeated here (retry.ts), where the rule for each operation
// stands. Checksums that only newer stores understand are sent only where the protocol demands one.
// Credentials come from the client's whole chain (environment, profile, single sign-on, container, instance); frond never
// sees them.

import type * as sdk from "@aws-sdk/client-s3";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { FrondError } from "../errors.ts";
import type { BucketOptions } from "./open.ts";

/** The package, as it was loaded. */
export type Sdk = typeof sdk;

const PACKAGE = "@aws-sdk/client-s3";
/** Time for a connection, in ms: a host that is not there must leave time for another try. */
const CONNECT_MS = 3_000;
/** Connections at once; further requests wait. Count. */
const CONNECTIONS = 64;
/** Where nobody states a region: what stores without regions are called by. */
const DEFAULT_REGION = "us-east-1";

/** Loads the package. Throws BAD_OPTION, with the command that installs it, when it is missing. */
export async function loadSdk(): Promise<Sdk> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND" || !message.includes(PACKAGE)) throw error;
    const what = `a bucket in an object store needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`;
    throw new FrondError("BAD_OPTION", what, { cause: error });
  }
}

/** A client as the options say; `onRequest` hears of every request. Throws BAD_OPTION for an endpoint that is none. */
export async function makeClient(sdk: Sdk, options: BucketOptions, onRequest: () => void): Promise<S3Client> {
  const { endpoint } = options;
  if (endpoint !== undefined) checkEndpoint(endpoint);
  const config: S3ClientConfig = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(options.region === undefined ? {} : { region: options.region }),
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // It would open a connection of its own for every larger object.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      httpAgent: { keepAlive: true, maxSockets: CONNECTIONS },
      httpsAgent: { keepAlive: true, maxSockets: CONNECTIONS },
    },
  };
  let client = new sdk.S3Client(config);
  if (!(await hasRegion(client))) {
    client.destroy();
    client = new sdk.S3Client({ ...config, region: DEFAULT_REGION });
  }
  client.middlewareStack.add(
    (next) => (args) => {
      onRequest();
      return next(args);
    },
    { step: "finalizeRequest", name: "frondCounts" },
  );
  return client;
}

async function hasRegion(client: S3Client): Promise<boolean> {
  try {
    return (await client.config.region()) !== "";
  } catch {
    return false;
  }
}

function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "") return;
  const shown = endpoint.replace(/\/\/.*@/s, "//...@");
  const what = `the endpoint of an object store is a URL like "https://store.example:9000", without a user: ${shown}`;
  throw new FrondError("BAD_OPTION", what);
}
