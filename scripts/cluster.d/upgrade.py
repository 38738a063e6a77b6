"""The binary of an older revision and that of now, side by side over one Postgres; the old one goes under load.

Whoever follows begins anew when it has gone, because an old one may have written without events.
"""

import json
import os
import shutil
import signal
import subprocess
import time

from nodes import ask, programs
from service import Load, Replica, environment, generate_key
from stage import Failed, until

# Longer than HAProxy takes to notice.
DRAIN_SECONDS = 3


def run(stage, binary, driver, revision):
    revision = commit(revision)
    old_binary = build(stage, revision)
    postgres = Postgres(stage)
    postgres.start()
    old = Replica(stage, old_binary, "old", postgres.url, ["--drain-seconds", str(DRAIN_SECONDS)])
    new = Replica(stage, binary, "new", postgres.url)
    old.start()
    key = generate_key(stage, old_binary, "upgrade", postgres.url)
    proxy = Proxy(stage, [old, new])
    proxy.start()
    # 0.1.0 may carry a request out twice that is sent to two replicas.
    load = Load(stage, driver, [proxy], key, ["--clients=6", "--no-repeats", "--begin-anew"])
    time.sleep(3)
    new.start()
    until("the new version serves", lambda: ask(f"http://{new.address}/readyz")[0] == 204)
    time.sleep(5)
    old.process.send_signal(signal.SIGTERM)
    until("the old version has ended", lambda: not old.is_running(), 30)
    load.begin_anew()
    time.sleep(8)
    found = load.finish()
    return judge(revision, old, found, breaks(binary, postgres.url))


def breaks(binary, url):
    """How many events do not follow the one before of their customer: while the old version wrote, it had none."""
    command = [binary, "events", "--account", "upgrade", "--database-url", url]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout.splitlines()
    versions, broken = {}, 0
    for event in map(json.loads, lines):
        broken += versions.get(event["CustomerID"]) != event.get("Previous")
        versions[event["CustomerID"]] = event.get("Version")
    return broken, len(lines)


def judge(revision, old, found, broken):
    failed = {name: count for name, count in found["answers"].items() if name.endswith(("503", "broken"))}
    longest = found["replicas"]["proxy"]["longest_answer"]
    print(
        f"upgrade from {revision[:9]}: {found['operations']} answers, failed {sum(failed.values())}, lost "
        f"{len(found['lost'])}, without order {len(found['without_order'])}/{found['histories']}, "
        f"the longest answer took {longest:.2f} s"
    )
    print(
        f"  events: {broken[0]} of {broken[1]} do not follow the one before; who began anew when the old version was gone read "
        f"{found['events']}, {len(found['differences'])} differences"
    )
    wrong = [f"{count} times {name}" for name, count in failed.items()]
    wrong += [f"lost: {lost}" for lost in found["lost"][:5]] + [f"no order: {text}" for text in found["without_order"][:2]]
    wrong += [f"not expected: {fault}" for fault in found["faults"][:5]]
    wrong += [f"the copy of a follower: {difference}" for difference in found["differences"][:5]]
    wrong += [] if found["events"] else ["nothing to follow"]
    wrong += [f"the old version ended with {old.process.returncode}"] if old.process.returncode else []
    for reason in wrong:
        print(f"  WRONG: {reason}")
    return 1 if wrong else 0


def git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit(revision):
    """The commit of a revision; by default the last tag, or the last change of the migrations of Postgres."""
    revision = revision or git("describe", "--tags", "--abbrev=0") or git("log", "-1", "--format=%H", "--", "migrations/postgres")
    found = git("rev-parse", "--verify", revision + "^{commit}")
    if not found:
        raise Failed(f"there is no revision {revision}")
    return found


def build(stage, revision):
    """The binary of a commit. It is kept, and what it was built from, too."""
    target = os.path.realpath(os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "upgrade"))
    kept = os.path.join(target, "customers-api-" + revision)
    if not os.path.exists(kept):
        source = stage.path("source")
        os.mkdir(source)
        archive = subprocess.Popen(["git", "archive", revision], stdout=subprocess.PIPE)
        subprocess.run(["tar", "--extract", "--directory", source], stdin=archive.stdout, check=True)
        if archive.wait() != 0:
            raise Failed(f"git archive {revision}")
        command = ["cargo", "build", "--locked", "--all-features", "--bin", "customers-api"]
        subprocess.run(command, cwd=source, env=os.environ | {"CARGO_TARGET_DIR": target}, check=True)
        shutil.copy(os.path.join(target, "debug", "customers-api"), kept)
    return kept


class Postgres:
    """One server."""

    def __init__(self, stage):
        self.stage, self.port = stage, stage.port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def start(self):
        data = self.stage.path("postgres.data")
        make = ["/initdb", "--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        made = subprocess.run([programs() + make[0], *make[1:]], capture_output=True, text=True, **self.stage.options())
        if made.returncode != 0:
            raise Failed(f"initdb: {made.stderr}")
        settings = ["-h", "127.0.0.1", "-p", str(self.port), "-k", self.stage.folder, "-c", "dynamic_shared_memory_type=mmap"]
        self.stage.start("postgres", [programs() + "/postgres", "-D", data, *settings])
        ready = [programs() + "/pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        until("Postgres answers", lambda: subprocess.run(ready, capture_output=True).returncode == 0)


class Proxy:
    """HAProxy before the two, as one replica to the load. It tries nothing again."""

    name = "proxy"

    def __init__(self, stage, replicas):
        self.stage, self.replicas, self.port = stage, replicas, stage.port()
        self.address = f"127.0.0.1:{self.port}"

    def start(self):
        servers = "\n".join(f"    server {replica.name} {replica.address} check" for replica in self.replicas)
        path = self.stage.write("haproxy.cfg", HAPROXY.format(port=self.port, servers=servers))
        self.stage.start("haproxy", ["haproxy", "-db", "-f", path])
        # The new one is not there yet; HAProxy has to know.
        time.sleep(2)


HAPROXY = """\
defaults
    mode http
    timeout connect 2s
    timeout client 1m
    timeout server 1m
    retries 0

listen service
    bind 127.0.0.1:{port}
    option httpchk GET /readyz
    http-check expect status 204
    default-server inter 500ms fall 1 rise 1
{servers}
"""
