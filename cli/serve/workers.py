"""The worker processes of a server: restarted when they end, replaced one at a time on SIGHUP."""

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

WORKER_START_TIMEOUT_SECONDS = 60
"""Longest start of a worker; one that takes longer replaces no other."""

WATCH_INTERVAL_SECONDS = 0.2
"""Interval at which the parent checks its workers."""

_HAND_OVER = signal.SIGUSR1
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_spawn = multiprocessing.get_context("spawn")

log = logging.getLogger("pricebook.cli")


class Worker:
    """A worker process, seen from its parent."""

    def __init__(self, config: Config, listener: socket.socket, drain_seconds: int, max_connections: int) -> None:
        self._started = _spawn.Event()
        self.process: SpawnProcess = _spawn.Process(
            target=_run_worker, args=(config, listener, drain_seconds, max_connections, self._started)
        )
        self.process.start()

    @property
    def is_serving(self) -> bool:
        """Whether the worker has started and has not ended."""
        return self._started.is_set() and self.process.is_alive()

    def wait_until_serving(self) -> bool:
        """Wait until the worker serves; return False if it ends or takes too long."""
        waited = 0.0
        while self.process.is_alive() and waited < WORKER_START_TIMEOUT_SECONDS:
            if self._started.wait(WATCH_INTERVAL_SECONDS):
                return True
            waited += WATCH_INTERVAL_SECONDS
        return False

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker unless it has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


class Workers:
    """Several workers on one socket.

    On SIGTERM all workers drain and end; on SIGINT, or a second signal, they end without the drain time. On SIGHUP
    they are replaced one after the other: each hands over as soon as its successor serves.
    """

    def __init__(self, config: Config, listener: socket.socket, drain_seconds: int, max_connections: int) -> None:
        self._config = config
        self._listener = listener
        self._drain_seconds = drain_seconds
        self._max_connections = max_connections
        self._signals: SimpleQueue[signal.Signals] = SimpleQueue()
        self._workers: list[Worker] = []
        self._leaving: list[Worker] = []

    def run(self, count: int) -> None:
        """Serve with `count` workers until a stop signal. Raises `SystemExit` if none of them can start."""
        for each in (*_STOP_SIGNALS, signal.SIGHUP):
            signal.signal(each, lambda number, _frame: self._signals.put(signal.Signals(number)))
        self._workers = [self._start() for _ in range(count)]
        received = None
        while received not in _STOP_SIGNALS:
            if received is signal.SIGHUP:
                self._replace_all()
            self._keep_alive()
            received = self._next_signal()
        self._stop(received)

    def _start(self) -> Worker:
        return Worker(self._config, self._listener, self._drain_seconds, self._max_connections)

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
            if code == STARTUP_FAILURE and not any(each.is_serving for each in self._workers):
                self._stop(signal.SIGINT)
                raise SystemExit(STARTUP_FAILURE)
            log.warning("Worker %s ended with exit code %s; starting another.", worker.process.pid, code)
            self._workers[index] = self._start()

    def _replace_all(self) -> None:
        log.info("Replacing the workers, one at a time.")
        for index, worker in enumerate(self._workers):
            successor = self._start()
            if not successor.wait_until_serving():
                log.error("A new worker did not start; the remaining workers are kept.")
                successor.process.kill()
                return
            self._workers[index] = successor
            self._leaving.append(worker)
            worker.send_signal(_HAND_OVER)
        log.info("All workers were replaced.")

    def _stop(self, number: signal.Signals) -> None:
        live_workers = [each for each in (*self._workers, *self._leaving) if each.process.is_alive()]
        _send_signal(live_workers, number)
        while any(each.process.is_alive() for each in live_workers):
            if self._next_signal() in _STOP_SIGNALS:
                _send_signal(live_workers, signal.SIGINT)


def _send_signal(workers: Sequence[Worker], number: signal.Signals) -> None:
    for each in workers:
        each.send_signal(number)


def _run_worker(
    config: Config, listener: socket.socket, drain_seconds: int, max_connections: int, started: threading.Event
) -> None:
    """Run a worker, which ends with its parent, even if that is killed."""
    server = Server(config, drain_seconds, max_connections, on_started=started.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing terminal sends it to the parent too
    signal.signal(_HAND_OVER, lambda _number, _frame: server.hand_over())
    config.configure_logging()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):  # uvicorn raises it after a stop signal
        server.run(sockets=[listener])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
