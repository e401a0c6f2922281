// A real S3 server for tests: Ceph's object gateway on a cluster of one monitor and one memory-backed disk.
//
// Rule: everything lives in one folder and on loopback, and nothing outlives whoever asked for it: run as a program, this
// file starts a cluster, says where it is in one line of JSON, and takes it down when its standard input ends, which is
// what happens to it when its parent dies, in whichever way.
// Ceph is made to wait for nobody: the pauses in which a monitor gathers proposals, meant for clusters of many, are the
// largest part of a start otherwise.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

/** Someone who may use the gateway. */
export interface S3User {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Where the gateway is, who owns what is in it, and a stranger whom the owner may let in. */
export interface Radosgw {
  readonly endpoint: string;
  readonly region: string;
  readonly owner: S3User;
  readonly guest: S3User & { readonly uid: string };
}

const OWNER: S3User = { accessKeyId: "frondowner", secretAccessKey: "frond-owner-secret" };
const GUEST = { uid: "guest", accessKeyId: "frondguest", secretAccessKey: "frond-guest-secret" };
const START_MS = 90_000;

function configOf(folder: string, fsid: string, gatewayPort: number, monitorPort: number): string {
  return `[global]
fsid = ${fsid}
mon_host = [v2:127.0.0.1:${monitorPort}/0]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = ${folder}
admin_socket =
pid_file =
log_file =
log_to_stderr = true
err_to_stderr = true
keyring = ${folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 2147483648
debug_ms = 0/0
debug_rgw = 0/0
debug_osd = 0/0
debug_mon = 0/0
debug_paxos = 0/0
debug_auth = 0/0
debug_monc = 0/0
debug_objecter = 0/0
debug_rados = 0/0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
[mon.a]
mon_data = ${folder}/mon
[osd.0]
osd_data = ${folder}/osd
keyring = ${folder}/osd.keyring
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
rgw_data = ${folder}
rgw_enable_ops_log = false
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = frond-key=${Buffer.alloc(32, 7).toString("base64")}
`;
}

/** A cluster whose processes are children of this one. */
class Cluster {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<Radosgw> {
    for (const name of ["mon", "osd"]) fs.mkdirSync(path.join(this.#folder, name), { recursive: true });
    const [gateway = 0, monitor = 0] = await freePorts(2);
    const fsid = randomUUID();
    fs.writeFileSync(path.join(this.#folder, "ceph.conf"), configOf(this.#folder, fsid, gateway, monitor));
    const map = path.join(this.#folder, "monmap");
    this.#run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", `[v2:127.0.0.1:${monitor}]`, map);
    this.#makeKeys();
    this.#run("ceph-mon", "-i", "a", "--mkfs", "--monmap", map);
    this.#spawn("mon", "ceph-mon", "-i", "a", "-f");
    const disk = randomUUID();
    const secret = path.join(this.#folder, "osd.json");
    this.#run("ceph", "--connect-timeout", "30", "osd", "new", disk, "0", "-i", secret);
    this.#run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk);
    this.#spawn("osd", "ceph-osd", "-i", "0", "-f");
    this.#spawn("rgw", "radosgw", "-n", "client.rgw", "-f");
    const endpoint = `http://127.0.0.1:${gateway}`;
    await this.#answering(endpoint);
    this.#addUser("owner", OWNER);
    this.#addUser(GUEST.uid, GUEST);
    return { endpoint, region: "us-east-1", owner: OWNER, guest: GUEST };
  }

  /** Nothing of it is to be kept, so it is not asked to end. */
  async stop(): Promise<void> {
    const running = this.#children.filter((child) => child.exitCode === null && child.signalCode === null);
    const ended = running.map((child) => once(child, "exit"));
    for (const child of running) child.kill("SIGKILL");
    await Promise.all(ended);
  }

  /** Keys of the monitor, of whoever rules the cluster, of the gateway and of the disk. */
  #makeKeys(): void {
    const add = (file: string, name: string, ...caps: string[]): string => {
      const keyring = path.join(this.#folder, file);
      const create = fs.existsSync(keyring) ? [] : ["--create-keyring"];
      this.#run("ceph-authtool", ...create, keyring, "--gen-key", "-n", name, ...caps);
      return fs.readFileSync(keyring, "utf8");
    };
    add("keyring", "mon.", "--cap", "mon", "allow *");
    add("keyring", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *");
    add("keyring", "client.rgw", "--cap", "mon", "allow rw", "--cap", "osd", "allow rwx");
    const secret = /key = (.*)/.exec(add("osd.keyring", "osd.0"))?.[1];
    fs.writeFileSync(path.join(this.#folder, "osd.json"), JSON.stringify({ cephx_secret: secret }));
  }

  #addUser(uid: string, { accessKeyId, secretAccessKey }: S3User): void {
    const keys = ["--access-key", accessKeyId, "--secret-key", secretAccessKey];
    this.#run("radosgw-admin", "user", "create", "--uid", uid, "--display-name", uid, ...keys);
  }

  #run(command: string, ...args: string[]): void {
    const { status, stderr, error } = spawnSync(command, ["-c", path.join(this.#folder, "ceph.conf"), ...args], {
      encoding: "utf8",
      timeout: START_MS,
    });
    if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${error ?? stderr}`);
  }

  #spawn(name: string, command: string, ...args: string[]): void {
    const log = fs.openSync(path.join(this.#folder, `${name}.log`), "w");
    const child = spawn(command, ["-c", path.join(this.#folder, "ceph.conf"), ...args], {
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    this.#children.push(child);
  }

  async #answering(endpoint: string): Promise<void> {
    const end = Date.now() + START_MS;
    for (;;) {
      const answered = await fetch(endpoint).catch(() => undefined);
      if (answered?.status === 200) return;
      const ended = this.#children.find((child) => child.exitCode !== null);
      if (ended !== undefined || Date.now() > end) throw new Error(`the gateway does not answer: ${this.#lastWords()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #lastWords(): string {
    return ["mon", "osd", "rgw"]
      .map((name) => `${name}: ${fs.readFileSync(path.join(this.#folder, `${name}.log`), "utf8").slice(-1_000)}`)
      .join("\n");
  }
}

async function freePorts(many: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: many }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

async function main(): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "frond-radosgw-"));
  const cluster = new Cluster(folder);
  const stop = async (): Promise<void> => {
    await cluster.stop();
    fs.rmSync(folder, { recursive: true, force: true });
    process.exit();
  };
  process.stdin.on("end", () => void stop()).resume();
  try {
    process.stdout.write(`${JSON.stringify(await cluster.start())}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ failure: String(error) })}\n`);
  }
}

if (import.meta.main) await main();
