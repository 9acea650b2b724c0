"""Lists of millions of prices, which several benchmarks of a run share: each is uploaded once, in random order."""

import json
import tempfile
from collections.abc import Mapping
from typing import IO

from pymongo import MongoClient

from bench.environment import Environment
from bench.prices import publish_file, write_rows
from bench.servers import Server

LARGE_DATABASE = "bench_large"
"""Database of the large lists, which stay until the end of the run."""

MILLION = 1_000_000


def large_server(
    environment: Environment, settings: Mapping[str, int | str] | None = None, *, metered: bool = False
) -> Server:
    """Return a server on the database of the large lists."""
    return environment.server({"mongodb_database": LARGE_DATABASE, **(settings or {})}, metered=metered)


def large_list(environment: Environment, size: int) -> str:
    """Return the name of a list of `size` prices; publish the list first if an earlier benchmark has not."""
    name = f"large-{size}"
    with MongoClient[dict[str, object]](environment.mongodb_uri) as client:
        if client[LARGE_DATABASE]["price_lists"].find_one({"_id": name}):
            return name
    # A server of its own: the caches of the server that is measured start empty.
    with large_server(environment) as server, tempfile.TemporaryFile(dir=environment.folder) as file:
        write_rows(file, environment.rows(size))
        upload(server, name, file)
    return name


def upload(server: Server, name: str, file: IO[bytes]) -> None:
    """Create a list, and publish the prices of a file."""
    server.create(name)
    payload = server.upload(publish_file(name, "base"), "prices.ndjson", file)
    if payload["batch"]["state"] != "PUBLISHED":
        raise AssertionError(json.dumps(payload))
