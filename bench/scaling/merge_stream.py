"""A steady stream of merges: the layers of the current version, and look-ups, as compaction keeps up with it.

The stream goes through one server; two others are read, one without a cache and one from memory. Look-ups are compared
with those in a copy of the list that has one layer, in the same seconds and in turn: a ratio is that of the medians of
a window.
"""

import tempfile
import time
from contextlib import ExitStack
from statistics import median

from bench.environment import Environment
from bench.large_lists import MILLION, upload
from bench.prices import write_rows
from bench.report import Figure, Report
from bench.scaling.look_ups import LookUps
from bench.scaling.senders import Senders, Sent
from bench.scaling.stored import Stored
from bench.servers import Server

BATCH = 2_000
INTERVAL_SECONDS = 0.5
STREAMS = {100_000: 300, MILLION: 90}
"""Seconds of the stream, by the size of the list."""

SMALL_BATCH = 50
SMALL_ROWS = 100_000
SMALL_SECONDS = 60
"""Merges of 50 rows are sent back to back for this time."""

WINDOW_SECONDS = 10
PAUSE_SECONDS = 0.05
"""Pause between two look-ups: reading should take little of the CPU that merging needs."""

READERS = {"nothing cached": {"response_cache_bytes": 0, "cache_bytes": 0}, "from memory": {"response_cache_bytes": 0}}

MAX_LAYERS = 16
MAX_RATIO = 3


def run(environment: Environment, report: Report) -> None:
    with environment.server() as sender, ExitStack() as stack:
        readers = {name: stack.enter_context(environment.server(settings)) for name, settings in READERS.items()}
        for size, seconds in STREAMS.items():
            what = f"{BATCH:,} rows every {INTERVAL_SECONDS} s into {size:,}"
            name = _fill(environment, sender, f"stream-{size}", size)
            senders = Senders(sender, environment.rows(size), environment.rows(BATCH))
            stream = Stream(environment, readers, name, environment.rows(size))
            stream.measure(senders, environment.seconds(seconds), INTERVAL_SECONDS)
            stream.add_to(report, what)
        name = _fill(environment, sender, "stream-of-small-merges", SMALL_ROWS)
        senders = Senders(sender, environment.rows(SMALL_ROWS), SMALL_BATCH)
        stream = Stream(environment, readers, name, environment.rows(SMALL_ROWS))
        stream.measure(senders, environment.seconds(SMALL_SECONDS))
        stream.add_to(report, f"{SMALL_BATCH} rows back to back into {SMALL_ROWS:,}")


def _fill(environment: Environment, server: Server, name: str, size: int) -> str:
    """Publish a list, and copy it while it has one layer; return its name."""
    with tempfile.TemporaryFile(dir=environment.folder) as file:
        write_rows(file, environment.rows(size))
        upload(server, name, file)
    with Stored(environment.mongodb_uri) as stored:
        stored.copy_list(name, [_copy_of(name)])
    return name


def _copy_of(name: str) -> str:
    return f"copy-of-{name}"


class Stream:
    """A stream of merges into a list, and what was measured meanwhile."""

    def __init__(self, environment: Environment, readers: dict[str, Server], name: str, rows: int) -> None:
        self._environment = environment
        self._readers = readers
        self._name = name
        self._rows = rows
        self._layers: list[int] = []
        self._ratios: dict[str, list[float]] = {name: [] for name in readers}
        self._slowest: dict[str, float] = {}
        self._sent = Sent()
        self._seconds = 0.0

    def measure(self, senders: Senders, seconds: float, interval: float = 0.0) -> None:
        """Read the list and its copy while merges are sent to the list for some seconds."""
        window = self._environment.seconds(WINDOW_SECONDS)
        with Stored(self._environment.mongodb_uri) as stored, ExitStack() as stack:
            look_ups = {
                name: stack.enter_context(LookUps(server, self._rows)) for name, server in self._readers.items()
            }
            for each in look_ups.values():  # the first look-up starts the load of a list
                each.seconds(self._name)
                each.seconds(_copy_of(self._name))
            started = time.monotonic()
            with senders.sending(self._name, seconds, interval) as self._sent:
                while time.monotonic() < started + seconds:
                    self._read(stored, look_ups, window)
            self._seconds = time.monotonic() - started

    def _read(self, stored: Stored, look_ups: dict[str, LookUps], seconds: float) -> None:
        """Look up prices in the list and in its copy, in turn, for the seconds of a window."""
        taken: dict[tuple[str, str], list[float]] = {}
        end = time.monotonic() + seconds
        while not taken or time.monotonic() < end:
            self._layers.append(stored.layers(self._name))
            for reader, each in look_ups.items():
                for name in (self._name, _copy_of(self._name)):
                    taken.setdefault((reader, name), []).append(each.seconds(name))
                    time.sleep(PAUSE_SECONDS)
        for reader in look_ups:
            in_list, in_copy = (median(taken[reader, name]) for name in (self._name, _copy_of(self._name)))
            self._ratios[reader].append(in_list / in_copy)
            self._slowest[reader] = max(self._slowest.get(reader, 0.0), in_list)

    def add_to(self, report: Report, what: str) -> None:
        """Report what was measured."""

        def add(what_of: str, value: float, unit: str = "", at_most: float | None = None) -> None:
            report.add(Figure("scale-merges", f"{what}: {what_of}", value, unit, at_most))

        add("most layers", max(self._layers), "", MAX_LAYERS)
        add("layers at the end", self._layers[-1])
        for reader, ratios in self._ratios.items():
            add(f"look-up, {reader}: worst / one layer", max(ratios), "", MAX_RATIO)
            add(f"look-up, {reader}: at its worst", 1000 * self._slowest[reader], "ms")
        add("merges published", len(self._sent.seconds) / self._seconds, "/s")
        add("merges refused", len(self._sent.refused), "", 0)
        add("longest merge", max(self._sent.seconds, default=0.0), "s")
