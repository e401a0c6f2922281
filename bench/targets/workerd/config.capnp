# The bench's app on workerd: SQLite-backed Durable Objects on the local disk.
# The address and the directory are given on the command line. `preventEviction` is generous: the objects stay in memory
# while the other targets have their turns.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .counters),
    (name = "data", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const counters :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  durableObjectNamespaces = [
    (className = "Counter", uniqueKey = "counter", enableSql = true, preventEviction = true),
  ],
  durableObjectStorage = (localDisk = "data"),
  bindings = [(name = "COUNTER", durableObjectNamespace = "Counter")],
);
