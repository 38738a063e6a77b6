"""Replicas of the service, and the load on them."""

import json
import os
import signal
import subprocess

from stage import Failed, read_line


def environment():
    """The environment without what configures the service."""
    ours = ("DATABASE_URL", "CUSTOMERS_", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Replica:
    """`customers-api serve`, on the same port each time it starts."""

    def __init__(self, stage, binary, name, database_url, arguments=()):
        self.stage, self.binary, self.name, self.arguments = stage, binary, name, arguments
        self.database_url, self.port, self.process = database_url, stage.port(), None
        self.address, self.log = f"127.0.0.1:{self.port}", "replica-" + name

    def start(self):
        command = [self.binary, "serve", "--listen", self.address, "--workers", "1", "--database-wait", "30"]
        with open(self.stage.path(self.log + ".log"), "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--database-url", self.database_url, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment() | {"CUSTOMERS_LOG": "warn"},
                start_new_session=True,
            )
        if not read_line(self.process, 60):
            raise Failed(f"{self.name} does not start:\n{self.stage.tail(self.log)}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def is_running(self):
        return self.process.poll() is None


class Load:
    """Clients of several replicas."""

    def __init__(self, stage, driver, replicas, key, arguments=()):
        named = [f"--replica={replica.name}={replica.address}" for replica in replicas]
        self.stage = stage
        with open(stage.path("load.log"), "ab") as log:
            self.process = subprocess.Popen(
                [driver, *named, "--key", key, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        if read_line(self.process, 60) != "running\n":
            raise Failed(f"the load does not start:\n{stage.tail('load')}")

    def begin_anew(self):
        """Has a load that was started with --begin-anew follow from now on."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self):
        """Ends the load, and returns what it found."""
        self.process.stdin.close()
        line = read_line(self.process, 120)
        if not line:
            raise Failed(f"the load does not end:\n{self.stage.tail('load')}")
        self.process.wait()
        return json.loads(line)


def generate_key(stage, binary, account, database_url):
    """Registers a key of an account, and returns the file of its private half."""
    path = stage.path(account + ".pem")
    command = [binary, "keys", "generate", "--account", account, "--algorithm", "ES256", "--out", path]
    made = subprocess.run(
        [*command, "--database-url", database_url], capture_output=True, text=True, env=environment()
    )
    if made.returncode != 0:
        raise Failed(f"keys generate: {made.stderr}")
    return path
