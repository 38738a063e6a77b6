"""scripts/cluster: what it does is said there."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

import play
import price
import upgrade
from nodes import Cluster
from proofs import Proofs
from stage import Failed, Stage

LOGS = ("etcd", "node1", "node2", "node3", "haproxy", "pgbouncer", "replica-hosts", "replica-haproxy", "replica-pgbouncer", "load")


def main():
    arguments = parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        binary = os.path.realpath(arguments.binary) if arguments.binary else release_binary()
        driver = load_driver() if arguments.command in ("test", "upgrade") else None
        return run(arguments, binary, driver)
    except KeyboardInterrupt:
        return 130
    except Failed as failed:
        print(f"cluster: {failed}", file=sys.stderr)
        return 1


def interrupt(*_):
    raise KeyboardInterrupt


def run(arguments, binary, driver):
    stage = Stage()
    try:
        if arguments.command == "upgrade":
            return upgrade.run(stage, binary, driver, arguments.revision)
        began = time.monotonic()
        cluster = Cluster(stage)
        cluster.start()
        if arguments.command == "play":
            return play.run(stage, cluster, binary)
        if arguments.command == "price":
            return price.run(stage, cluster, binary)
        proofs = Proofs(stage, cluster, binary, driver)
        proofs.start()
        print(f"started within {time.monotonic() - began:.0f} s", flush=True)
        wrong = proofs.run(arguments.only, arguments.times)
        print(f"cluster: {'FAILED' if wrong else 'all as wanted'}, {time.monotonic() - began:.0f} s")
        if wrong:
            show_logs(stage)
        return 1 if wrong else 0
    except Failed:
        show_logs(stage)
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stage.end(arguments.logs)


def show_logs(stage):
    for name in LOGS:
        print(f"== {name}\n{stage.tail(name)}", file=sys.stderr)


def parse():
    parser = argparse.ArgumentParser(prog="scripts/cluster")
    parser.add_argument("--binary", help="the service; without it, target/release/customers-api")
    parser.add_argument("--logs", metavar="FOLDER", help="keep all logs in this folder")
    commands = parser.add_subparsers(dest="command")
    test = commands.add_parser("test", help="break parts of it under load, and check what clients are told")
    test.add_argument("--only", default="", metavar="TEXT", help="only the proofs with this text in their names")
    test.add_argument("--times", type=int, default=1, metavar="NUMBER", help="run them so often")
    replace = commands.add_parser("upgrade", help="replace a binary by that of now, under load")
    replace.add_argument("revision", nargs="?", help="the revision of the old binary")
    cost = commands.add_parser("price", help="what a single write and a single read take by each way")
    for command in (test, replace, cost):
        command.add_argument("--binary", default=argparse.SUPPRESS)
        command.add_argument("--logs", default=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.command = arguments.command or "play"
    return arguments


def target():
    return os.path.realpath(os.environ.get("CARGO_TARGET_DIR", "target"))


def release_binary():
    path = target() + "/release/customers-api"
    if not os.path.exists(path):
        subprocess.run(["cargo", "build", "--locked", "--release"], check=True)
    return path


def load_driver():
    """Builds the clients, and returns their program."""
    command = ["cargo", "build", "--locked", "--all-features", "--bench", "cluster", "--message-format=json"]
    built = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    paths = [message["executable"] for message in messages if message.get("target", {}).get("name") == "cluster"]
    return paths[-1]


if __name__ == "__main__":
    sys.exit(main())
