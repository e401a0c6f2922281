// `frond backup`: a copy of a whole cluster in another bucket, and back. What it does stands in server/upkeep/backup.ts.

import { Option, type Command } from "commander";
import { existsSync } from "node:fs";
import path from "node:path";
import { openBucket, parseBucketUrl } from "../bucket/open.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { FrondError } from "../errors.ts";
import type { BackupCounts } from "../server/upkeep/backup.ts";
import type { BucketSpec } from "../server/persist/bucketTalk.ts";
import { frozenBucket } from "../server/folder.ts";
import { urlInside } from "../server/runs/openKeeper.ts";
import type { Verified } from "../server/upkeep/verifyCopy.ts";
import { withNode } from "./operator.ts";
import { type BucketFlags, bucketOptions, checked, dataOption, jsonOption, parseEndpoint } from "./options.ts";
import { print, printJson, showBytes } from "./output.ts";
import { ProgressLine } from "./progress.ts";

interface Options extends Omit<BucketFlags, "bucket"> {
  readonly to: string;
  readonly from?: string;
  readonly fromS3Endpoint?: string;
  readonly fromS3Region?: string;
  readonly data?: string;
  readonly json?: true;
  readonly verify?: true;
}

const BACKUP_HELP = `
URL is dir:PATH or s3://BUCKET/PREFIX, an empty place or an earlier copy of the same cluster: then only what is new goes over, and a
copy that was broken off goes on. Nodes may write meanwhile: whatever the bucket held when the command began can be read out of the
copy. Without --from it is the bucket of a data directory (--data); where no node serves that, the end of its log goes up first.

A copy is used by starting a node on it with a new data directory, or by copying it back into an empty place. Nothing is ever removed
from a copy. The --s3 options are those of every s3:// URL in the command, --from-s3-endpoint and --from-s3-region those of --from.

Examples:
  frond backup --to s3://acme-backup/shop --verify
  frond backup --from s3://acme-backup/shop --to dir:/srv/shop-bucket
  frond start app.ts --data /srv/new --bucket dir:/srv/shop-bucket`;

export function addBackup(program: Command): void {
  const command = program
    .command("backup")
    .description("copy everything of a cluster into another bucket")
    .requiredOption("--to <url>", "where the copy goes", checked(parseUrl))
    .option("--from <url>", "what is copied (default: the bucket of the data directory)", checked(parseUrl))
    .option("--verify", "read the copy afterwards: the ends of all objects, and every slot as a node would")
    .addOption(dataOption("data directory"))
    .addOption(
      new Option("--from-s3-endpoint <url>", "of --from, where it is another store").argParser(checked(parseEndpoint)),
    )
    .addOption(new Option("--from-s3-region <region>", "of --from"))
    .addOption(jsonOption())
    .addHelpText("after", BACKUP_HELP)
    .action(run);
  for (const option of bucketOptions()) if (option.long !== "--bucket") command.addOption(option);
}

async function run(options: Options): Promise<void> {
  const { json, verify } = options;
  const [from, to] = [await sourceOf(options), specOf(options.to, options, {})];
  const { s3Endpoint, s3Region, s3PathStyle, s3Encryption } = options;
  const s3 = [s3Endpoint, s3Region, s3PathStyle, s3Encryption].some((value) => value !== undefined);
  if (s3 && ![from, to].some(({ url }) => url.startsWith("s3:"))) {
    throw new FrondError("BAD_OPTION", "--s3-... options belong to a bucket: name it as s3://BUCKET/PREFIX");
  }
  if (from.url === to.url) throw new FrondError("BAD_OPTION", `${to.url} cannot be copied into itself`);
  const place = parseBucketUrl(from.url);
  if (place.store === "dir" && !existsSync(place.path)) {
    throw new FrondError("BAD_OPTION", `there is no folder ${place.path}, which was to be copied`);
  }
  const buckets: Bucket[] = [];
  const line = new ProgressLine(json);
  try {
    for (const { url, ...rest } of [from, to]) buckets.push(await openBucket(url, rest));
    const { backup } = await import("../server/upkeep/backup.ts");
    const [source, target] = buckets as [Bucket, Bucket];
    const progress = ({ copied, bytes }: Readonly<BackupCounts>): void =>
      line.show(`${copied} objects copied (${showBytes(bytes)})`);
    const counts = await backup({ from: source, to: target, progress });
    const verified = verify ? await verifyTarget(target, line) : undefined;
    line.end();
    if (json) return await printJson({ from: from.url, to: to.url, ...counts, ...(verified && { verified }) });
    await print(describe(counts, from, to));
    if (verified) await print(`looked through: ${verified.slots} slots with ${verified.cells} cells can be read\n`);
  } finally {
    line.end();
    await Promise.all(buckets.map((bucket) => bucket.close()));
  }
}

function describe({ objects, copied, bytes }: BackupCounts, from: BucketSpec, to: BucketSpec): string {
  const came = copied === 0 ? "nothing was new" : `${copied} of them came now (${showBytes(bytes)})`;
  return `${to.url} is a copy of ${from.url}: ${objects} objects, ${came}\n`;
}

async function verifyTarget(target: Bucket, line: ProgressLine): Promise<Verified> {
  const { verifyCopy } = await import("../server/upkeep/verifyCopy.ts");
  const verified = await verifyCopy(target, (looked) => line.show(`${looked} objects of the copy looked into`));
  const [first] = verified.wrong;
  if (first === undefined) return verified;
  const others = verified.wrong.length === 1 ? "" : ` (and ${verified.wrong.length - 1} more)`;
  throw new FrondError("OBJECT_DAMAGED", `${first}${others}`);
}

/** The bucket of a data directory has everything when a node has been there. */
async function sourceOf(options: Options): Promise<BucketSpec> {
  const { from, fromS3Endpoint, fromS3Region, data, json } = options;
  const own = {
    ...(fromS3Endpoint !== undefined && { endpoint: fromS3Endpoint }),
    ...(fromS3Region !== undefined && { region: fromS3Region }),
  };
  if (from !== undefined) {
    if (data !== undefined) throw new FrondError("BAD_OPTION", "--from and --data both say what is copied; give one");
    return specOf(from, options, own);
  }
  if (Object.keys(own).length > 0) throw new FrondError("BAD_OPTION", "--from-s3-... options belong to --from");
  const where = { ...(data !== undefined && { data }), ...(json && { json }) };
  const directory = await withNode(where, async (view) => (await view.version()).dataDirectory);
  const known = frozenBucket(directory);
  if (known === undefined) {
    throw new FrondError("BAD_OPTION", `${directory} has no bucket yet; it gets one when frond start serves it`);
  }
  return known.spec ?? { url: urlInside(directory) };
}

/** A place with the options of its store, and none where it has none. */
function specOf(url: string, flags: Options, own: Partial<BucketSpec>): BucketSpec {
  const place = parseBucketUrl(url);
  if (place.store === "dir") return { url: `dir:${path.resolve(place.path)}` };
  const { s3Endpoint, s3Region, s3PathStyle, s3Encryption } = flags;
  return {
    url,
    ...(s3Endpoint !== undefined && { endpoint: s3Endpoint }),
    ...(s3Region !== undefined && { region: s3Region }),
    ...(s3PathStyle !== undefined && { pathStyle: s3PathStyle }),
    ...(s3Encryption !== undefined && { encryption: s3Encryption }),
    ...own,
  };
}

function parseUrl(url: string): string {
  parseBucketUrl(url);
  return url;
}
