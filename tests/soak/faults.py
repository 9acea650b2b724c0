"""Faults: kills and restarts server processes, kills members of the replica set, and makes the primary step down."""

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.stack.replica_set import BreakableReplicaSet
from tests.stack.servers import Server


class Faults:
    """Makes one fault after the other, and waits between them; the first kills a server. `done` lists them."""

    def __init__(
        self, servers: Sequence[Server], members: BreakableReplicaSet | None, numbers: random.Random, pause: float
    ) -> None:
        self._servers = servers
        self._members = members
        self._random = numbers
        self._pause = pause
        self.done: list[str] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Make faults until stopped; everything runs again afterwards."""
        faults: list[Callable[[], None]] = [self._kill_server, self._deploy]
        if self._members:
            faults += [self._kill_server, self._step_down, self._kill_primary, self._kill_secondary]
        while not stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(0.5, 1.5) * self._pause):
                    await stopping.wait()
                    return
            fault = self._random.choice(faults) if self.done else self._kill_server
            self.done.append(fault.__name__.strip("_").replace("_", " "))
            await asyncio.to_thread(fault)

    def _kill_server(self) -> None:
        server = self._random.choice(self._servers)
        server.kill()
        server.start()

    def _deploy(self) -> None:
        self._random.choice(self._servers).restart()

    def _step_down(self) -> None:
        members = self._running()
        with (
            MongoClient[dict[str, Any]]("127.0.0.1", members.primary().port, directConnection=True) as client,
            suppress(PyMongoError),
        ):  # the member closes connections while it steps down
            client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
        members.primary()

    def _kill_primary(self) -> None:
        self._kill_member(self._running().primary())

    def _kill_secondary(self) -> None:
        self._kill_member(self._running().secondaries()[0])

    def _kill_member(self, member: Any) -> None:
        members = self._running()
        members.kill(member, signal.SIGKILL)
        members.primary()
        members.restart(member)

    def _running(self) -> BreakableReplicaSet:
        assert self._members is not None
        return self._members
