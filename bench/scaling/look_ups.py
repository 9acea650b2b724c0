"""Look-ups of single prices over a kept-alive connection, with little time spent in the client."""

import http.client
import json
import random
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bench.prices import sku
from bench.queries import POINT, body
from bench.servers import Server


class LookUps:
    """Look-ups at random places of lists with `rows` prices, for a context."""

    def __init__(self, server: Server, rows: int) -> None:
        url = urlsplit(server.url)
        self._path = url.path
        self._connection = http.client.HTTPConnection(url.netloc, timeout=60)
        self._rows = rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._connection.close()

    def seconds(self, name: str) -> float:
        """Return the seconds of a look-up. Raises `AssertionError` if the list does not have the price."""
        request = body(POINT, list=name, sku=sku(random.randrange(self._rows)))
        started = time.perf_counter()
        self._connection.request("POST", self._path, request, {"content-type": "application/json"})
        content = self._connection.getresponse().read()
        seconds = time.perf_counter() - started
        if not json.loads(content)["data"]["snapshot"]["price"]:
            raise AssertionError(content)
        return seconds
