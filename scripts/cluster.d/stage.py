"""The processes, ports and the folder of a run. What is started here is ended here, by process id."""

import ctypes
import glob
import os
import pwd
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PR_SET_CHILD_SUBREAPER = 36

# Below the ports from which connections go out, so that none of these takes the port of a node that is down.
PORTS = range(20000, 30000)


class Failed(Exception):
    """Something is not as wanted."""


def until(what, condition, seconds=60):
    """Waits until a condition holds, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def parents(of_the_dead=False):
    """The parent of each process; of those that ended and were not waited for, if they are asked for."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if (state == "Z") is of_the_dead:
            found[int(entry)] = int(parent)
    return found


def descendants(ancestor):
    """The processes that a process started, and those that they started."""
    known = parents()
    found, new = [], [ancestor]
    while new:
        new = [process for process, parent in known.items() if parent in new]
        found += new
    return found


def send(signal_number, processes):
    for process in processes:
        try:
            os.kill(process, signal_number)
        except ProcessLookupError:
            pass


class Stage:
    """A folder, and the processes that live in it."""

    def __init__(self):
        # A process whose parent is gone, as Postgres after its Patroni, becomes a child of this one.
        if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise Failed("this kernel has no subreapers")
        self.folder = tempfile.mkdtemp(prefix="customers-cluster-")
        os.chmod(self.folder, 0o755)
        self.ports = set()
        threading.Thread(target=self.bury_orphans, daemon=True).start()
        # Postgres and PgBouncer refuse to run as root.
        self.owner = None
        if os.getuid() == 0:
            self.owner = pwd.getpwnam("postgres")
            os.chown(self.folder, self.owner.pw_uid, self.owner.pw_gid)

    def port(self):
        """A port that nothing listens on."""
        while True:
            port = random.choice(PORTS)
            with socket.socket() as attempt:
                try:
                    attempt.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in self.ports:
                self.ports.add(port)
                return port

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        if self.owner:
            os.chown(self.path(name), self.owner.pw_uid, self.owner.pw_gid)
        return self.path(name)

    def options(self):
        """What makes a process one of the folder's owner."""
        environment = {"PATH": os.environ["PATH"] + ":/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8", "HOME": self.folder}
        options = {"cwd": self.folder, "env": environment}
        if self.owner:
            options |= {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []}
        return options

    def start(self, name, command):
        """Starts a process as the folder's owner. Its output goes to a file of its name."""
        with open(self.path(name + ".log"), "ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self.options()
            )

    def bury_orphans(self):
        """Postgres does not start while its last server is a process that nobody waited for."""
        while True:
            for process, parent in parents(of_the_dead=True).items():
                if parent == os.getpid() and comm(process) == "postgres":
                    bury(process)
            time.sleep(0.1)

    def tail(self, name, lines=15):
        """The end of a log."""
        try:
            with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    def postmasters(self):
        """The servers that have a data folder here."""
        found = []
        for path in glob.glob(self.path("*.data/postmaster.pid")):
            with open(path, encoding="utf-8") as file:
                found.append(int(file.readline()))
        return [process for process in found if process in descendants(os.getpid())]

    def remove_shared_memory(self):
        """A server that was killed leaves a small segment, and its key and id in its data folder."""
        with open("/proc/sysvipc/shm", encoding="utf-8") as table:
            segments = [line.split() for line in table]
        for path in glob.glob(self.path("*.data/postmaster.pid")):
            with open(path, encoding="utf-8") as file:
                names = [line.split() for line in file.read().splitlines()[6:7]]
            for segment in segments:
                key, identity, attached = segment[0], segment[1], segment[6]
                if attached == "0" and [key, identity] in names:
                    subprocess.run(["ipcrm", "--shmem-id", identity], check=False)

    def end(self, logs=None):
        """Ends everything, and removes the folder. Postgres cleans up behind itself if it is asked to end."""
        send(signal.SIGKILL, [process for process in descendants(os.getpid()) if is_patroni(process)])
        servers = self.postmasters()
        for server in servers:
            send(signal.SIGCONT, [server, *descendants(server)])
        send(signal.SIGQUIT, servers)
        deadline = time.monotonic() + 10
        while set(servers) & set(descendants(os.getpid())) and time.monotonic() < deadline:
            time.sleep(0.05)
        while descendants(os.getpid()) and time.monotonic() < deadline + 10:
            send(signal.SIGKILL, descendants(os.getpid()))
            time.sleep(0.05)
        for process, parent in parents(of_the_dead=True).items():
            if parent == os.getpid():
                bury(process)
        self.remove_shared_memory()
        if logs:
            os.makedirs(logs, exist_ok=True)
            for log in glob.glob(self.path("*.log")):
                shutil.copy(log, logs)
        shutil.rmtree(self.folder, ignore_errors=True)
        left = descendants(os.getpid())
        if left or os.path.exists(self.folder):
            raise Failed(f"processes {left} or the folder {self.folder} are left")


def is_patroni(process):
    try:
        with open(f"/proc/{process}/cmdline", "rb") as arguments:
            return b"/patroni\0" in arguments.read()
    except OSError:
        return False


def comm(process):
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8") as name:
            return name.read().strip()
    except OSError:
        return ""


def bury(process):
    try:
        os.waitpid(process, os.WNOHANG)
    except ChildProcessError:
        pass


def read_line(process, seconds):
    """A line of a process's standard output; empty if it ends or is too slow."""
    line, deadline = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([process.stdout], [], [], remaining)[0]:
            return ""
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            return ""
        line += part
    return line.decode()
