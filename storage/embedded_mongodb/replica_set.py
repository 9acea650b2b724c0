"""A replica set of real mongods on this machine, for development and tests.

The data folder holds `member-<n>/` and `member-<n>.log` for each member; `devset.json`, their ports and process
ids; and `lock`, held by the process that runs the set. The members listen on loopback only, without a password.
"""

import json
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pymongo.errors import PyMongoError

from storage.embedded_mongodb import configuration
from storage.embedded_mongodb.lock_file import Held, hold
from storage.embedded_mongodb.mongod import (
    PORT_TAKEN,
    EmbeddedReplicaSetError,
    Mongod,
    end_leftover,
    find_mongod,
    free_ports,
    wait_for,
)

__all__ = ["EmbeddedReplicaSet", "EmbeddedReplicaSetError", "Member", "find_mongod"]

T = TypeVar("T")

FORMAT = 1
MAX_MEMBERS = 7
"""So many may vote in a replica set."""
MIN_CACHE_MB = 256
"""The smallest WiredTiger cache that mongod accepts."""

_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 15.0
_PORT_ATTEMPTS = 5
_FATAL = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True)
class Member:
    """A running member: the port it listens on and the id of its process."""

    port: int
    pid: int


def _silent(_: str) -> None:
    pass


class EmbeddedReplicaSet:
    """A replica set whose members this process starts, and which ends with this process, however that ends."""

    def __init__(
        self,
        data_dir: Path,
        members: int = 3,
        *,
        say: Callable[[str], None] = _silent,
        cache_mb: int = MIN_CACHE_MB,
    ) -> None:
        """`cache_mb` is the WiredTiger cache of each member; `say` is given sentences that a user should read."""
        if not 1 <= members <= MAX_MEMBERS:
            raise EmbeddedReplicaSetError(f"There are no sets of {members} members; ask for 1 to {MAX_MEMBERS}.")
        if cache_mb < MIN_CACHE_MB:
            raise EmbeddedReplicaSetError(f"mongod takes no cache of {cache_mb} MB; give it {MIN_CACHE_MB} or more.")
        self._data_dir = data_dir.resolve()
        self._memory = self._data_dir / "devset.json"
        self._count = members
        self._say = say
        self._cache_mb = cache_mb
        self._mongods: list[Mongod] = []
        self._lock: int | None = None
        # A member ends with the thread that starts it (see `tether`): one thread, kept until stop(), starts all.
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
        """The address of the running set for clients."""
        if not self._mongods:
            raise EmbeddedReplicaSetError("The set does not run. Call start() first.")
        return f"mongodb://{','.join(each.address for each in self._mongods)}/?replicaSet={configuration.NAME}"

    def start(self) -> str:
        """Start the members and return the URI once there is a primary that the others follow.

        What an earlier owner left running on this data folder is ended first. Raises DevSetError, with
        everything stopped again.
        """
        program = find_mongod()
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = hold(self._data_dir / "lock")
        except Held as held:
            raise EmbeddedReplicaSetError(
                f"Process {held.owner or '(it has not said which)'} runs the set of {self._data_dir}. "
                "Use its URI, end it, or give another data folder."
            ) from None
        except OSError as error:
            raise EmbeddedReplicaSetError(
                f"{self._data_dir} cannot be used ({error}). Give another data folder."
            ) from error
        try:
            self._start(program)
        except BaseException as error:
            self.stop()
            if isinstance(error, PyMongoError):
                raise EmbeddedReplicaSetError(
                    f"The set did not start ({error}). See the logs in {self._data_dir}."
                ) from error
            raise
        return self.uri

    def _start(self, program: Path) -> None:
        for number, (port, pid) in enumerate(self._recall()):
            dbpath = self._data_dir / f"member-{number}"
            if pid is not None and end_leftover(pid, dbpath, _STOP_TIMEOUT):
                self._say(f"Ended the mongod {pid} that an earlier run had left behind.")
            mongod = Mongod(program, dbpath, configuration.NAME, port, self._cache_mb)
            mongod.log.unlink(missing_ok=True)
            self._mongods.append(mongod)
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="devset")
        for mongod in self._mongods:
            self._launch(mongod)
        for mongod in self._mongods:
            self._settle(mongod)
        self._await(lambda: configuration.configure(self._mongods), "be configured")
        self._await(lambda: configuration.elect(self._mongods), "elect a primary")
        if not wait_for(lambda: configuration.is_whole(self._mongods), _START_TIMEOUT):
            self._say(f"Some members do not follow the primary yet. See the logs in {self._data_dir}.")

    def _launch(self, mongod: Mongod) -> None:
        if self._starter is None:
            raise EmbeddedReplicaSetError("The set does not run. Call start() first.")
        self._starter.submit(mongod.start).result()
        self._remember()

    def _settle(self, mongod: Mongod) -> None:
        """Wait until a launched member answers, giving it another port while its own is taken."""
        for _ in range(_PORT_ATTEMPTS):
            if self._has_port(mongod):
                return
            [port] = free_ports(1)
            self._say(f"Another program listens on port {mongod.port}; the member moves to {port}.")
            mongod.port = port
            self._launch(mongod)
        raise EmbeddedReplicaSetError(mongod.why_ended())

    def _has_port(self, mongod: Mongod) -> bool:
        """Wait until a launched member answers, and tell if it could not because its port is taken."""
        self._await(lambda: mongod.pid is None or mongod.answers(), f"hear from {mongod}")
        if mongod.exit_code not in {None, PORT_TAKEN}:
            raise EmbeddedReplicaSetError(mongod.why_ended())
        return mongod.exit_code is None

    def _await(self, probe: Callable[[], T | None], what: str) -> T:
        if not (found := wait_for(probe, _START_TIMEOUT)):
            raise EmbeddedReplicaSetError(
                f"The set could not {what} within {_START_TIMEOUT:.0f} s. See the logs in {self._data_dir}."
            )
        return found

    def stop(self) -> None:
        """Stop every member, secondaries first, and wait until all have ended. Do nothing when none runs."""
        primary = configuration.primary(self._mongods)
        for mongod in sorted(self._mongods, key=lambda each: each is primary):
            mongod.send(signal.SIGTERM)
            mongod.send(signal.SIGCONT)  # one that is held by SIGSTOP would not hear the other
        for mongod in self._mongods:
            if not mongod.wait(_STOP_TIMEOUT):
                self._say(f"Killing {mongod}, which did not end in {_STOP_TIMEOUT:.0f} s. See {mongod.log}.")
                mongod.send(signal.SIGKILL)
                mongod.wait(_STOP_TIMEOUT)
        if self._starter is not None:
            self._remember()
            self._starter.shutdown()
            self._starter = None
        self._mongods = []
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # For tests that break things.

    def members(self) -> list[Member]:
        """List the members whose processes run."""
        return _as_members(self._mongods)

    def primary(self) -> Member:
        """Wait until there is a primary and return it. Raises DevSetError when none is elected."""

        def elected() -> list[Member]:
            mongod = configuration.primary(self._mongods)
            return [] if mongod is None else _as_members([mongod])

        return self._await(elected, "elect a primary")[0]

    def secondaries(self) -> list[Member]:
        """List the members that are secondaries now."""
        return _as_members(configuration.secondaries(self._mongods))

    def kill(self, member: Member, number: signal.Signals) -> None:
        """Send the signal, and if it is one that ends a mongod, wait until it has."""
        mongod = self._at(member)
        mongod.send(number)
        if number in _FATAL and not mongod.wait(_STOP_TIMEOUT):
            raise EmbeddedReplicaSetError(f"{mongod} did not end after {number.name}. Send SIGKILL.")

    def restart(self, member: Member) -> Member:
        """Start a killed member again on its port and wait until it answers; its process id is a new one."""
        mongod = self._at(member)
        if mongod.pid is not None:
            raise EmbeddedReplicaSetError(f"{mongod} runs. Use kill() first.")
        self._launch(mongod)
        if not self._has_port(mongod):
            raise EmbeddedReplicaSetError(mongod.why_ended())
        return _as_members([mongod])[0]

    def _at(self, member: Member) -> Mongod:
        for mongod in self._mongods:
            if mongod.port == member.port:
                return mongod
        raise EmbeddedReplicaSetError(f"{member} is not of this set. Take one that members() lists.")

    # What is remembered from run to run.

    def _recall(self) -> list[tuple[int, int | None]]:
        """Read the port and the process id of every member, or choose ports for new ones."""
        try:
            stored = json.loads(self._memory.read_bytes())
            found = stored["format"]
            members = [(int(each["port"]), each["pid"]) for each in stored["members"]] if found == FORMAT else []
        except FileNotFoundError:
            return [(port, None) for port in free_ports(self._count)]
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddedReplicaSetError(
                f"{self._memory} is damaged. Delete it and start again; it holds no data."
            ) from error
        if found != FORMAT:
            raise EmbeddedReplicaSetError(
                f"{self._memory} has format {found}; this release knows {FORMAT}. "
                "Upgrade Pricebook, or give another data folder."
            )
        if len(members) != self._count:
            raise EmbeddedReplicaSetError(
                f"{self._data_dir} holds a set of {len(members)} members, not {self._count}. "
                f"Ask for {len(members)}, or give another data folder."
            )
        return members

    def _remember(self) -> None:
        members = [{"port": each.port, "pid": each.pid} for each in self._mongods]
        new = self._memory.with_suffix(".new")
        new.write_text(json.dumps({"format": FORMAT, "members": members}))
        new.replace(self._memory)  # in one step: a crash leaves the old or the new


def _as_members(mongods: Iterable[Mongod]) -> list[Member]:
    return [Member(each.port, pid) for each in mongods if (pid := each.pid) is not None]
