"""The worker processes of a server: kept alive, replaced one at a time on SIGHUP, ended together."""

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from queue import Empty, SimpleQueue

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from cli.serve.graceful_server import Server

READY_SECONDS = 60
"""How long a worker may take until it serves; one that takes longer replaces no other."""

WATCH_INTERVAL_SECONDS = 0.2

_HAND_OVER = signal.SIGUSR1
_END = (signal.SIGTERM, signal.SIGINT)

_spawn = multiprocessing.get_context("spawn")

log = logging.getLogger("pricebook.cli")


class Worker:
    """A worker process, as its parent sees it."""

    def __init__(self, config: Config, listener: socket.socket, drain_seconds: int) -> None:
        self._started = _spawn.Event()
        self.process: SpawnProcess = _spawn.Process(target=_work, args=(config, listener, drain_seconds, self._started))
        self.process.start()

    @property
    def serves(self) -> bool:
        """Whether it has begun to serve, and has not ended."""
        return self._started.is_set() and self.process.is_alive()

    def wait_until_it_serves(self) -> bool:
        """Return whether it does, when it does, or cannot any more."""
        waited = 0.0
        while self.process.is_alive() and waited < READY_SECONDS:
            if self._started.wait(WATCH_INTERVAL_SECONDS):
                return True
            waited += WATCH_INTERVAL_SECONDS
        return False

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


class Workers:
    """Some workers on one socket.

    SIGTERM lets all of them drain and end; SIGINT, or a second signal, lets them end without the drain time. SIGHUP
    replaces them one after the other: each hands over when its successor serves.
    """

    def __init__(self, config: Config, listener: socket.socket, drain_seconds: int) -> None:
        self._config = config
        self._listener = listener
        self._drain_seconds = drain_seconds
        self._signals: SimpleQueue[signal.Signals] = SimpleQueue()
        self._workers: list[Worker] = []
        self._leaving: list[Worker] = []

    def run(self, number: int) -> None:
        """Serve with so many workers until a signal ends it. Raises `SystemExit` when none of them can start."""
        for each in (*_END, signal.SIGHUP):
            signal.signal(each, lambda number, _frame: self._signals.put(signal.Signals(number)))
        self._workers = [self._start() for _ in range(number)]
        told = None
        while told not in _END:
            if told is signal.SIGHUP:
                self._replace_all()
            self._keep_alive()
            told = self._next_signal()
        self._end(told)

    def _start(self) -> Worker:
        return Worker(self._config, self._listener, self._drain_seconds)

    def _next_signal(self) -> signal.Signals | None:
        try:
            return self._signals.get(timeout=WATCH_INTERVAL_SECONDS)
        except Empty:
            return None

    def _keep_alive(self) -> None:
        self._leaving = [each for each in self._leaving if each.process.is_alive()]
        for index, worker in enumerate(self._workers):
            code = worker.process.exitcode
            if code is None:
                continue
            if code == STARTUP_FAILURE and not any(each.serves for each in self._workers):
                self._end(signal.SIGINT)
                raise SystemExit(STARTUP_FAILURE)
            log.warning("The worker %s ended with %s; another takes its place.", worker.process.pid, code)
            self._workers[index] = self._start()

    def _replace_all(self) -> None:
        log.info("Replacing the workers, one at a time.")
        for index, worker in enumerate(self._workers):
            successor = self._start()
            if not successor.wait_until_it_serves():
                log.error("A new worker does not serve; the others are kept.")
                successor.process.kill()
                return
            self._workers[index] = successor
            self._leaving.append(worker)
            worker.tell(_HAND_OVER)
        log.info("All workers were replaced.")

    def _end(self, told: signal.Signals) -> None:
        living = [each for each in (*self._workers, *self._leaving) if each.process.is_alive()]
        _tell(living, told)
        while any(each.process.is_alive() for each in living):
            if self._next_signal() in _END:
                _tell(living, signal.SIGINT)


def _tell(workers: Sequence[Worker], number: signal.Signals) -> None:
    for each in workers:
        each.tell(number)


def _work(config: Config, listener: socket.socket, drain_seconds: int, started: threading.Event) -> None:
    """Be a worker. It ends with its parent, even when that is killed."""
    server = Server(config, drain_seconds, on_started=started.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that closes tells the parent, too
    signal.signal(_HAND_OVER, lambda _number, _frame: server.hand_over())
    config.configure_logging()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):  # as it was told
        server.run(sockets=[listener])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
