"""The kinds of requests that `bench.reads` measures, with their modes and targets."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import queries
from bench.prices import sku
from bench.queries import MULTI, PAGE, body, walk
from bench.servers import Server

LIST = "bench-reads"
HOT = 100
"""Number of different requests of `point-hot`."""

MODES: Mapping[str, Mapping[str, int | str]] = {
    "response cached": {},
    "revalidated (304)": {},
    "records cached": {"response_cache_bytes": 0},
    "nothing cached": {"response_cache_bytes": 0, "cache_bytes": 0},
}
"""Settings of Pricebook in each mode."""


@dataclass(frozen=True, slots=True)
class Target:
    """Most microseconds of CPU per request, and the least share: the CPU of the constant divided by that."""

    cpu: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A kind of request. `bodies` returns those for a list of a given size on a server."""

    name: str
    bodies: Callable[[Server, int], list[bytes]]
    targets: Mapping[str, Target]
    """The modes to measure, with their targets."""


def _points(_: Server, count: int) -> list[bytes]:
    return [body(queries.POINT, list=LIST, sku=sku(number)) for number in range(count)]


def _hot_points(_: Server, count: int) -> list[bytes]:
    return [body(queries.POINT, list=LIST, sku=sku(number * count // HOT)) for number in range(HOT)]


def _multi(_: Server, count: int) -> list[bytes]:
    generator = random.Random(100)
    return [body(MULTI, list=LIST, skus=[sku(generator.randrange(count)) for _ in range(100)]) for _ in range(200)]


def _pages(server: Server, count: int) -> list[bytes]:
    return [body(PAGE, list=LIST, after=cursor) for cursor in (None, *walk(server, LIST, count)[:-1])]


POINT = Workload(
    "point",
    _points,
    {"response cached": Target(share=0.6), "records cached": Target(share=0.2), "nothing cached": Target(300)},
)
WORKLOADS = (
    POINT,
    Workload(
        "point-hot", _hot_points, {"response cached": Target(share=0.75), "revalidated (304)": Target(share=0.75)}
    ),
    Workload(
        "multi100", _multi, {"response cached": Target(), "records cached": Target(700), "nothing cached": Target(1200)}
    ),
    Workload(
        "page1000",
        _pages,
        {"response cached": Target(500), "records cached": Target(2500), "nothing cached": Target(3500)},
    ),
)
