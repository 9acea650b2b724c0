"""An embedded replica set whose members a test can kill, pause and restart."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass

from storage.embedded_mongodb import configuration, replica_set
from storage.embedded_mongodb.mongod import EmbeddedReplicaSetError, Mongod
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet

_FATAL = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True)
class Member:
    """A running member: the port it listens on and the id of its process."""

    port: int
    pid: int


class BreakableReplicaSet(EmbeddedReplicaSet):
    """An embedded replica set with control over its members."""

    def members(self) -> list[Member]:
        """Return the members whose processes are running."""
        return _as_members(self._mongods)

    def primary(self) -> Member:
        """Wait until there is a primary and return it. Raises `EmbeddedReplicaSetError` if none is elected."""

        def elected() -> list[Member]:
            mongod = configuration.primary(self._mongods)
            return [] if mongod is None else _as_members([mongod])

        return self._wait_until(elected, "elect a primary")[0]

    def secondaries(self) -> list[Member]:
        """Return the members that are secondaries now."""
        return _as_members(configuration.secondaries(self._mongods))

    def kill(self, member: Member, number: signal.Signals) -> None:
        """Send a signal. If it is fatal, wait until the process has exited."""
        mongod = self._find(member)
        mongod.send_signal(number)
        if number in _FATAL and not mongod.wait(replica_set._STOP_TIMEOUT_SECONDS):
            raise EmbeddedReplicaSetError(f"{mongod} did not exit after {number.name}. Send SIGKILL.")

    def restart(self, member: Member) -> Member:
        """Start a killed member again on its port and wait until it answers. Its process id changes."""
        mongod = self._find(member)
        if mongod.pid is not None:
            raise EmbeddedReplicaSetError(f"{mongod} is running. Use kill() first.")
        self._launch(mongod)
        if not self._is_up(mongod):
            raise EmbeddedReplicaSetError(mongod.describe_exit())
        return _as_members([mongod])[0]

    def _find(self, member: Member) -> Mongod:
        return next(mongod for mongod in self._mongods if mongod.port == member.port)


def _as_members(mongods: Iterable[Mongod]) -> list[Member]:
    return [Member(each.port, pid) for each in mongods if (pid := each.pid) is not None]
