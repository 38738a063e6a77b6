"""What is broken under load, and what clients must be told meanwhile."""

import json
import signal
import socket
import time

from service import Load, Replica, generate_key
from stage import Failed, send, until

# Nobody waits longer than this for an answer.
ANSWER_SECONDS_MAX = 15
# A node that cannot commit any more answers reads for at most so long.
STALE_SECONDS_MAX = 10
# How much longer than the cluster a replica may be without writes. The aim is 1.
BEHIND_SECONDS_MAX = 10

# How long the load runs before something breaks, and after all is well again.
BEFORE, AFTER = 2, 2


class Proofs:
    def __init__(self, stage, cluster, binary, driver):
        self.stage, self.cluster, self.binary, self.driver = stage, cluster, binary, driver
        self.replicas = [Replica(stage, binary, name, url) for name, url in cluster.urls.items()]
        self.hosts = self.replicas[0]
        self.wrong = []

    def start(self):
        for replica in self.replicas:
            replica.start()

    def all(self):
        """Each proof: its name, what breaks, and what else is said about it."""
        return [
            ("kill of the primary and its Patroni", self.kill_primary, {}),
            ("the same again", self.kill_primary, {}),
            ("the same a third time", self.kill_primary, {}),
            ("switchover", self.switch_over, {}),
            ("primary frozen, demoted, woken", self.freeze_primary, {}),
            ("synchronous standby frozen, woken", self.freeze_standby, {}),
            ("etcd away and back", self.etcd_away, {}),
            ("replica of the service killed, restarted", self.kill_replica, {}),
            ("Patroni killed, its Postgres lives on", self.kill_patroni, {"unfenced": True}),
            ("switchover, two silent hosts in the URL", self.switch_over, {"silent": True}),
        ]

    def run(self, only="", times=1):
        print(HEADINGS, flush=True)
        chosen = [proof for proof in self.all() if only in proof[0]]
        for number, (name, act, options) in enumerate(chosen * times, 1):
            self.prove(number, name, act, **options)
        return self.wrong

    def prove(self, number, name, act, unfenced=False, silent=False):
        key = generate_key(self.stage, self.binary, f"proof-{number}", self.cluster.urls["haproxy"])
        replicas, sockets, arguments = self.replicas, [], []
        if silent:
            sockets, url = self.silent_hosts()
            replicas = [Replica(self.stage, self.binary, "silent", url)]
            replicas[0].start()
        if unfenced:
            # Nobody but a watchdog keeps the old node from answering reads for a while, so these have no history.
            arguments = ["--without-history=hosts"]
        load = Load(self.stage, self.driver, replicas, key, arguments)
        time.sleep(BEFORE)
        broken = time.monotonic()
        wrong = []
        try:
            primary_after = act(broken)
            self.cluster.until_whole()
        except Failed as failed:
            wrong, primary_after = [str(failed)], time.monotonic() - broken
        time.sleep(AFTER)
        found = load.finish()
        self.stage.write(f"proof-{number}.log", json.dumps(found, indent=1))
        for replica in replicas if silent else ():
            replica.kill()
        for silent_host in sockets:
            silent_host.close()
        self.judge(name, found, primary_after, STALE_SECONDS_MAX if unfenced else 0, wrong)

    def judge(self, name, found, primary_after, stale_max, wrong):
        print(row(name, found, primary_after), flush=True)
        longest = max(replica["longest_answer"] for replica in found["replicas"].values())
        without = max(replica["without_writes"] for replica in found["replicas"].values())
        wrong += [f"lost: {lost}" for lost in found["lost"][:5]]
        wrong += [f"the copy of a follower: {difference}" for difference in found["differences"][:5]]
        wrong += [f"no order: {history}" for history in found["without_order"][:2]]
        wrong += [f"not expected: {fault}" for fault in found["faults"][:5]]
        wrong += [f"an answer took {longest:.1f} s"] if longest > ANSWER_SECONDS_MAX else []
        wrong += [f"a read was {found['stalest']:.1f} s old"] if found["stalest"] > stale_max else []
        if without > primary_after + BEHIND_SECONDS_MAX:
            wrong.append(f"{without:.1f} s without writes")
        wrong += [f"{replica.name} ended" for replica in self.replicas if not replica.is_running()]
        self.wrong += [f"{name}: {reason}" for reason in wrong]
        for reason in wrong:
            print(f"  WRONG: {reason}", flush=True)

    def kill_primary(self, since):
        old = self.cluster.primary()
        old.kill()
        self.cluster.until_another_primary(old)
        after = time.monotonic() - since
        old.start()
        return after

    def switch_over(self, since):
        old = self.cluster.primary()
        self.cluster.switch_over()
        self.cluster.until_another_primary(old)
        return time.monotonic() - since

    def freeze_primary(self, since):
        old = self.cluster.primary()
        old.freeze()
        try:
            self.cluster.until_another_primary(old)
            after = time.monotonic() - since
            time.sleep(2)
        finally:
            old.wake()
        return after

    def freeze_standby(self, since):
        standby = self.cluster.synchronous_standby()
        standby.freeze()
        try:
            deadline = time.monotonic() + 30
            while self.cluster.synchronous_standby() is standby and time.monotonic() < deadline:
                time.sleep(0.05)
            after = time.monotonic() - since
        finally:
            standby.wake()
        return after

    def etcd_away(self, since):
        self.cluster.kill_etcd()
        deadline = time.monotonic() + 30
        while any(node.is_primary() for node in self.cluster.nodes) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)
        self.cluster.start_etcd()
        self.cluster.primary()
        return time.monotonic() - since

    def kill_replica(self, since):
        self.hosts.kill()
        self.hosts.start()
        return time.monotonic() - since

    def kill_patroni(self, since):
        old = self.cluster.primary()
        old.kill_patroni()
        self.cluster.until_another_primary(old)
        after = time.monotonic() - since
        # Long enough for a replica to notice, or to show that it does not.
        time.sleep(STALE_SECONDS_MAX + 5)
        # Patroni over a running primary clears synchronous_standby_names, and so lets waiting commits through.
        send(signal.SIGKILL, old.postgres())
        until("the old server is gone", lambda: not old.postgres())
        old.start()
        return after

    def silent_hosts(self):
        """Two hosts that take connections and say nothing, before the nodes in a URL."""
        sockets = []
        for _ in range(2):
            silent = socket.create_server(("127.0.0.1", self.stage.port()), backlog=100)
            sockets.append(silent)
        ports = [silent.getsockname()[1] for silent in sockets] + [node.port for node in self.cluster.nodes]
        return sockets, self.cluster.url(*ports)


COLUMNS = "{:<41} {:>8} {:<24} {:>8} {:>7} {:>7} {:>8} {:>5} {:>9} {:>11} {:>6} {:>11}"
HEADINGS = COLUMNS.format(
    "", "primary", "seconds without writes:", "longest", "", "", "", "", "histories", "oldest read", "", "a follower"
) + "\n" + COLUMNS.format(
    "proof", "after s", "  hosts haproxy pgbouncer", "answer s", "answers", "repeats", "unknown", "lost", "no order", "s",
    "events", "differs"
)


def row(name, found, primary_after):
    replicas = found["replicas"].values()
    # The replica with silent hosts in its URL stands alone, below that with all hosts.
    order = [name for name in ("silent", "hosts", "haproxy", "pgbouncer") if name in found["replicas"]]
    without = " ".join(f"{found['replicas'][name]['without_writes']:>7.1f}" for name in order)
    longest = max(replica["longest_answer"] for replica in replicas)
    without_order = f"{len(found['without_order'])}/{found['histories']}"
    return COLUMNS.format(
        name, f"{primary_after:.1f}", without, f"{longest:.1f}", found["operations"], found["repeats"], found["unknown"],
        len(found["lost"]), without_order, f"{found['stalest']:.1f}", found["events"], len(found["differences"]),
    )
