"""What one replica set carries, and what slows down first: lists, processes, merges, senders, layers and history.

Each part is a benchmark of its own, on an empty database.
"""

from collections.abc import Callable

from bench.environment import Environment
from bench.report import Report
from bench.scaling import (
    change_streams,
    growth,
    held_batches,
    idle,
    many_layers,
    many_senders,
    merge_stream,
    replace_during_merges,
)

NAME = "scale"
"""The name of all parts together."""

PARTS: dict[str, Callable[[Environment, Report], None]] = {
    "scale-idle": idle.run,
    "scale-merges": merge_stream.run,
    "scale-replace": replace_during_merges.run,
    "scale-senders": many_senders.run,
    "scale-streams": change_streams.run,
    "scale-held": held_batches.run,
    "scale-growth": growth.run,
    "scale-layers": many_layers.run,
}
"""The parts, in the order of a run."""
