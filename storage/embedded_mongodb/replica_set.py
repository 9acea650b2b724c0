"""A replica set of mongod processes on this machine, for development and tests.

The data folder contains `member-<n>/` and `member-<n>.log` for each member; `devset.json` with their ports and process
ids; and `lock`, held by the process that runs the set. The members listen on loopback only, without authentication.
"""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pymongo.errors import PyMongoError

from storage.embedded_mongodb import configuration
from storage.embedded_mongodb.lock_file import LockHeld, acquire
from storage.embedded_mongodb.mongod import (
    EXIT_NET_ERROR,
    EmbeddedReplicaSetError,
    Mongod,
    find_mongod,
    free_ports,
    stop_leftover,
    wait_for,
)

__all__ = ["EmbeddedReplicaSet", "EmbeddedReplicaSetError", "find_mongod"]

T = TypeVar("T")

STATE_FORMAT = 1
"""The format of `devset.json`."""

MAX_MEMBERS = 7
"""MongoDB's limit of voting members in a replica set."""

MIN_CACHE_MB = 256
"""The smallest WiredTiger cache that mongod accepts."""

_START_TIMEOUT_SECONDS = 120.0
_STOP_TIMEOUT_SECONDS = 15.0
_PORT_ATTEMPTS = 5


def _silent(_: str) -> None:
    pass


class EmbeddedReplicaSet:
    """A replica set that this process starts. Its members end with this process, however it ends."""

    def __init__(
        self,
        data_dir: Path,
        members: int = 3,
        *,
        report: Callable[[str], None] = _silent,
        cache_mb: int = MIN_CACHE_MB,
    ) -> None:
        """`cache_mb` is the WiredTiger cache of each member; `report` receives messages for the user."""
        if not 1 <= members <= MAX_MEMBERS:
            raise EmbeddedReplicaSetError(
                f"A replica set cannot have {members} members. Set PRICEBOOK_MEMBERS to 1 to {MAX_MEMBERS}."
            )
        if cache_mb < MIN_CACHE_MB:
            raise EmbeddedReplicaSetError(
                f"A cache of {cache_mb} MB is too small for mongod. Use {MIN_CACHE_MB} MB or more."
            )
        self._data_dir = data_dir.resolve()
        self._state_file = self._data_dir / "devset.json"
        self._count = members
        self._report = report
        self._cache_mb = cache_mb
        self._mongods: list[Mongod] = []
        self._lock: int | None = None
        # A member ends with the thread that starts it (see `parent_death`): this one is kept until stop().
        self._starter: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """The connection string of the running set."""
        if not self._mongods:
            raise EmbeddedReplicaSetError("The replica set is not running. Call start() first.")
        return f"mongodb://{','.join(each.address for each in self._mongods)}/?replicaSet={configuration.NAME}"

    def start(self) -> str:
        """Start the members and return the URI once there is a primary that the others follow.

        Stops members that an earlier owner of the data folder left running. If the start fails, stops all members and
        raises `EmbeddedReplicaSetError`.
        """
        program = find_mongod()
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = acquire(self._data_dir / "lock")
        except LockHeld as held:
            raise EmbeddedReplicaSetError(
                f"Process {held.owner or '(id unknown)'} already runs the replica set in {self._data_dir}. "
                "Use its URI, stop it, or use another folder (PRICEBOOK_DATA_DIR)."
            ) from None
        except OSError as error:
            raise EmbeddedReplicaSetError(
                f"The data folder {self._data_dir} cannot be used ({error}). Use another one (PRICEBOOK_DATA_DIR)."
            ) from error
        try:
            self._start(program)
        except BaseException as error:
            self.stop()
            if isinstance(error, PyMongoError):
                raise EmbeddedReplicaSetError(
                    f"The replica set did not start ({error}). See the logs in {self._data_dir}."
                ) from error
            raise
        return self.uri

    def _start(self, program: Path) -> None:
        for number, (port, pid) in enumerate(self._load_state()):
            dbpath = self._data_dir / f"member-{number}"
            if pid is not None and stop_leftover(pid, dbpath, _STOP_TIMEOUT_SECONDS):
                self._report(f"Stopped the mongod {pid} that an earlier run left behind.")
            mongod = Mongod(program, dbpath, configuration.NAME, port, self._cache_mb)
            mongod.log.unlink(missing_ok=True)
            self._mongods.append(mongod)
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="embedded-mongodb")
        for mongod in self._mongods:
            self._launch(mongod)
        for mongod in self._mongods:
            self._wait_until_up(mongod)
        self._wait_until(lambda: configuration.configure(self._mongods), "be configured")
        self._wait_until(lambda: configuration.elect(self._mongods), "elect a primary")
        if not wait_for(lambda: configuration.is_healthy(self._mongods), _START_TIMEOUT_SECONDS):
            self._report(f"Some members do not follow the primary yet. See the logs in {self._data_dir}.")

    def _launch(self, mongod: Mongod) -> None:
        if self._starter is None:
            raise EmbeddedReplicaSetError("The replica set is not running. Call start() first.")
        self._starter.submit(mongod.start).result()
        self._save_state()

    def _wait_until_up(self, mongod: Mongod) -> None:
        """Wait until a launched member answers; relaunch it on another port if its own is in use."""
        for _ in range(_PORT_ATTEMPTS):
            if self._is_up(mongod):
                return
            [port] = free_ports(1)
            self._report(f"Port {mongod.port} is in use by another program; the member moves to port {port}.")
            mongod.port = port
            self._launch(mongod)
        raise EmbeddedReplicaSetError(mongod.describe_exit())

    def _is_up(self, mongod: Mongod) -> bool:
        """Wait until a launched member answers. Return False if it exited because its port is in use."""
        self._wait_until(lambda: mongod.pid is None or mongod.answers(), f"connect to {mongod}")
        if mongod.exit_code not in {None, EXIT_NET_ERROR}:
            raise EmbeddedReplicaSetError(mongod.describe_exit())
        return mongod.exit_code is None

    def _wait_until(self, probe: Callable[[], T | None], goal: str) -> T:
        if not (result := wait_for(probe, _START_TIMEOUT_SECONDS)):
            raise EmbeddedReplicaSetError(
                f"The replica set could not {goal} within {_START_TIMEOUT_SECONDS:.0f} s. "
                f"See the logs in {self._data_dir}."
            )
        return result

    def stop(self) -> None:
        """Stop all members, secondaries first, and wait until they have exited. Does nothing if none is running."""
        primary = configuration.primary(self._mongods)
        for mongod in sorted(self._mongods, key=lambda each: each is primary):
            mongod.send_signal(signal.SIGTERM)
            mongod.send_signal(signal.SIGCONT)  # a process paused by SIGSTOP does not handle SIGTERM
        for mongod in self._mongods:
            if not mongod.wait(_STOP_TIMEOUT_SECONDS):
                self._report(
                    f"Killing {mongod}: it did not exit within {_STOP_TIMEOUT_SECONDS:.0f} s. See {mongod.log}."
                )
                mongod.send_signal(signal.SIGKILL)
                mongod.wait(_STOP_TIMEOUT_SECONDS)
        if self._starter is not None:
            self._save_state()
            self._starter.shutdown()
            self._starter = None
        self._mongods = []
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _load_state(self) -> list[tuple[int, int | None]]:
        """Return the port and the process id of each member from the last run, or free ports for a new set."""
        try:
            stored = json.loads(self._state_file.read_bytes())
            format_ = stored["format"]
            members = (
                [(int(each["port"]), each["pid"]) for each in stored["members"]] if format_ == STATE_FORMAT else []
            )
        except FileNotFoundError:
            return [(port, None) for port in free_ports(self._count)]
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddedReplicaSetError(
                f"{self._state_file} is damaged. Delete it and start again; it contains no prices."
            ) from error
        if format_ != STATE_FORMAT:
            raise EmbeddedReplicaSetError(
                f"{self._state_file} has format {format_}; this release reads format {STATE_FORMAT}. "
                "Upgrade Pricebook, or use another folder (PRICEBOOK_DATA_DIR)."
            )
        if len(members) != self._count:
            raise EmbeddedReplicaSetError(
                f"The replica set in {self._data_dir} has {len(members)} members, not {self._count}. "
                f"Set PRICEBOOK_MEMBERS to {len(members)}, or use another folder (PRICEBOOK_DATA_DIR)."
            )
        return members

    def _save_state(self) -> None:
        members = [{"port": each.port, "pid": each.pid} for each in self._mongods]
        new = self._state_file.with_suffix(".new")
        new.write_text(json.dumps({"format": STATE_FORMAT, "members": members}))
        new.replace(self._state_file)  # atomic: a crash leaves the old file or the new one
