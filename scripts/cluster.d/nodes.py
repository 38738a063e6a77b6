"""etcd, three Postgres nodes under Patroni, HAProxy and PgBouncer."""

import glob
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from stage import Failed, descendants, send, until

# As short as Patroni allows: a primary that does not renew its key within `ttl` seconds is replaced.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 8, 2, 3


def programs():
    """The folder of the newest Postgres."""
    folders = [path for path in glob.glob("/usr/lib/postgresql/*/bin") if os.path.exists(path + "/initdb")]
    return max(folders, key=lambda path: float(path.split("/")[-2]))


def ask(url, method="GET", body=None):
    """The status and the JSON of an answer; the status 0 if there is none."""
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    try:
        with urllib.request.urlopen(request, timeout=2 if body is None else 60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


class Node:
    """A Postgres server and its Patroni."""

    def __init__(self, cluster, name):
        self.cluster, self.stage, self.name = cluster, cluster.stage, name
        self.port, self.rest = self.stage.port(), self.stage.port()
        self.data = self.stage.path(name + ".data")
        self.patroni = None
        self.configuration = self.stage.write(name + ".json", json.dumps(self.settings()))

    def settings(self):
        parameters = {
            "max_connections": 100,
            "unix_socket_directories": self.stage.folder,
            "dynamic_shared_memory_type": "mmap",
            "wal_log_hints": "on",
            "wal_keep_size": "256MB",
            "shared_buffers": "32MB",
        }
        shared = {
            "ttl": TTL,
            "loop_wait": LOOP_WAIT,
            "retry_timeout": RETRY_TIMEOUT,
            "maximum_lag_on_failover": 1048576,
            "synchronous_mode": True,
            "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters},
        }
        return {
            "scope": "customers",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest}", "connect_address": f"127.0.0.1:{self.rest}"},
            **self.cluster.coordination(),
            "bootstrap": {"dcs": shared, "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}]},
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "bin_dir": programs(),
                "data_dir": self.data,
                "pgpass": self.stage.path(self.name + ".pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local all all trust"],
                "basebackup": {"checkpoint": "fast"},
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }

    def start(self):
        self.patroni = self.stage.start(self.name, ["/usr/bin/patroni", self.configuration])

    def postmaster(self):
        """The process of the server, if there is one."""
        try:
            with open(self.data + "/postmaster.pid", encoding="utf-8") as file:
                process = int(file.readline())
        except (OSError, ValueError):
            return None
        return process if process in descendants(os.getpid()) else None

    def postgres(self):
        server = self.postmaster()
        return [server, *descendants(server)] if server else []

    def is_primary(self):
        return ask(f"http://127.0.0.1:{self.rest}/primary")[0] == 200

    def kill_patroni(self):
        """Postgres lives on, without anybody to stop it."""
        send(signal.SIGKILL, [self.patroni.pid])
        self.patroni.wait()

    def kill(self):
        """As a machine that loses its power."""
        processes = self.postgres()
        self.kill_patroni()
        send(signal.SIGKILL, processes)

    def freeze(self):
        """As a virtual machine that is paused."""
        send(signal.SIGSTOP, [self.patroni.pid, *self.postgres()])

    def wake(self):
        send(signal.SIGCONT, [self.patroni.pid, *self.postgres()])


class Cluster:
    """All of it. `urls` are those of the database, by the way there."""

    def __init__(self, stage):
        self.stage = stage
        self.etcd_port, self.etcd_peers = stage.port(), stage.port()
        known = subprocess.run(["etcd", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.is_v2 = "--enable-v2" in known.stdout
        self.nodes = [Node(self, name) for name in ("node1", "node2", "node3")]
        self.haproxy_port, self.pgbouncer_port = stage.port(), stage.port()
        self.etcd = None
        self.urls = {
            "hosts": self.url(*(node.port for node in self.nodes)),
            "haproxy": self.url(self.haproxy_port),
            "pgbouncer": self.url(self.pgbouncer_port),
        }

    @staticmethod
    def url(*ports):
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgres://postgres@{hosts}/customers?sslmode=disable"

    def coordination(self):
        """Patroni 3.0.2 may lose writes over etcd's v3 interface after a freeze, so that of v2 is taken where it is."""
        return {"etcd" if self.is_v2 else "etcd3": {"host": f"127.0.0.1:{self.etcd_port}"}}

    def start(self):
        self.start_etcd()
        self.nodes[0].start()
        until("the first node is primary", self.nodes[0].is_primary)
        for node in self.nodes[1:]:
            node.start()
        self.until_whole()
        created = subprocess.run(
            [programs() + "/createdb", "-h", "127.0.0.1", "-p", str(self.nodes[0].port), "-U", "postgres", "customers"],
            capture_output=True,
            text=True,
            **self.stage.options(),
        )
        if created.returncode != 0:
            raise Failed(f"createdb: {created.stderr}")
        self.start_haproxy()
        self.start_pgbouncer()

    def start_etcd(self):
        client, peers = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peers}"
        command = ["etcd", "--name", "etcd", "--data-dir", self.stage.path("etcd.data"), "--log-level", "error"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        command += ["--initial-cluster", f"etcd={peers}"] + (["--enable-v2"] if self.is_v2 else [])
        self.etcd = self.stage.start("etcd", command)
        until("etcd answers", lambda: ask(client + "/version")[0] == 200)

    def start_haproxy(self):
        servers = "\n".join(
            f"    server {node.name} 127.0.0.1:{node.port} check port {node.rest}" for node in self.nodes
        )
        text = HAPROXY.format(port=self.haproxy_port, servers=servers, folder=self.stage.folder)
        self.stage.start("haproxy", ["haproxy", "-db", "-f", self.stage.write("haproxy.cfg", text)])
        until("HAProxy knows the primary", lambda: self.servers_up() == 1)

    def servers_up(self):
        """How many nodes HAProxy sends connections to. Before its first checks these are all."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(self.stage.path("haproxy.sock"))
            except OSError:
                return 0
            connection.sendall(b"show stat\n")
            lines = connection.makefile().read().splitlines()
        return len([line for line in lines if line.startswith("primary,node") and ",DOWN" not in line])

    def start_pgbouncer(self):
        text = PGBOUNCER.format(port=self.pgbouncer_port, haproxy=self.haproxy_port, folder=self.stage.folder)
        self.stage.start("pgbouncer", ["pgbouncer", self.stage.write("pgbouncer.ini", text)])

    def members(self):
        """What Patroni says about each node."""
        for node in self.nodes:
            status, answer = ask(f"http://127.0.0.1:{node.rest}/cluster")
            if status == 200:
                return json.loads(answer)["members"]
        return []

    def is_whole(self):
        """Whether there is a primary, and two others follow it, one of them synchronously."""
        members = self.members()
        leaders = [member for member in members if member["role"] == "leader"]
        others = [member for member in members if member["role"] != "leader"]
        follow = [
            member
            for member in others
            if member["state"] in ("running", "streaming") and member.get("timeline") == leaders[0]["timeline"]
            and member.get("lag") == 0
        ] if leaders else []
        return len(leaders) == 1 and len(follow) == 2 and any(member["role"] == "sync_standby" for member in follow)

    def until_whole(self):
        until("a primary and two standbys", self.is_whole, 90)

    def primary(self):
        return until("there is a primary", lambda: next((node for node in self.nodes if node.is_primary()), None))

    def synchronous_standby(self):
        def find():
            names = [member["name"] for member in self.members() if member["role"] == "sync_standby"]
            return next((node for node in self.nodes if node.name in names), None)

        return until("there is a synchronous standby", find)

    def until_another_primary(self, old):
        others = [node for node in self.nodes if node is not old]
        return until("another node is primary", lambda: next((node for node in others if node.is_primary()), None))

    def switch_over(self):
        old, new = self.primary(), self.synchronous_standby()
        body = {"leader": old.name, "candidate": new.name}
        status, answer = ask(f"http://127.0.0.1:{old.rest}/switchover", "POST", body)
        if status != 200:
            raise Failed(f"the switchover is refused: {status} {answer}")

    def kill_etcd(self):
        send(signal.SIGKILL, [self.etcd.pid])
        self.etcd.wait()

    def restart_what_ended(self):
        """Starts again what somebody killed, and returns its names."""
        started = []
        if self.etcd.poll() is not None:
            self.start_etcd()
            started.append("etcd")
        for node in self.nodes:
            if node.patroni.poll() is not None:
                node.start()
                started.append(node.name)
        return started


HAPROXY = """\
global
    stats socket {folder}/haproxy.sock

defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 2s

listen primary
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""

PGBOUNCER = """\
[databases]
customers = host=127.0.0.1 port={haproxy} dbname=customers user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = session
default_pool_size = 40
server_login_retry = 1
"""
