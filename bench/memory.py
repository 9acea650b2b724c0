"""A list of 5,000,000 prices in the memory of one process: reads at random places that do not ask MongoDB.

The server has default settings. One pass over the list reads all of it; the commands to MongoDB are counted afterwards.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.environment import Environment
from bench.large_lists import MILLION, large_list, large_server
from bench.prices import sku
from bench.queries import MULTI, PAGE, POINT, body, walk
from bench.report import Figure, Report

COUNT = 5 * MILLION
CONNECTIONS = 8
REQUESTS = {"point": 5_000, "multi100": 500, "page1000": 200}

MAX_MEMORY_MIB = 700


def run(environment: Environment, report: Report) -> None:
    name, count = large_list(environment, COUNT), environment.rows(COUNT)
    with large_server(environment, metered=True) as server:
        started = time.perf_counter()
        cursors = walk(server, name, count)
        report.add(Figure("memory", f"a pass over {COUNT:,} prices", time.perf_counter() - started, "s"))
        for kind, bodies in _requests(environment, name, count, cursors).items():
            commands, used = server.commands(), server.cpu_seconds()
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                sizes = list(pool.map(lambda each: len(server.post(each)), bodies))
            cpu, commands = server.cpu_seconds() - used, server.commands() - commands
            of_layers = sum(number for target, number in commands.items() if target.startswith("layer."))
            report.add(Figure("memory", f"{len(sizes):,} {kind}: commands to layers", of_layers, "", 0))
            others = commands.total() - of_layers
            report.add(Figure("memory", f"{kind}: commands of the background meanwhile", others, ""))
            report.add(Figure("memory", f"{kind}: CPU per request", 1e6 * cpu / len(sizes), "us"))
        report.add(Figure("memory", "peak memory of the server", server.peak_memory() / 2**20, "MiB", MAX_MEMORY_MIB))


def _requests(environment: Environment, name: str, count: int, cursors: Sequence[str]) -> dict[str, list[bytes]]:
    generator = random.Random(5)
    numbers = {kind: range(environment.repeats(number)) for kind, number in REQUESTS.items()}
    return {
        "point": [body(POINT, list=name, sku=sku(generator.randrange(count))) for _ in numbers["point"]],
        "multi100": [
            body(MULTI, list=name, skus=[sku(generator.randrange(count)) for _ in range(100)])
            for _ in numbers["multi100"]
        ],
        "page1000": [body(PAGE, list=name, after=generator.choice(cursors or [None])) for _ in numbers["page1000"]],
    }
