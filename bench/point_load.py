"""Starting and stopping a load of point queries, which is a process of its own (`bench.load`)."""

import json
import subprocess
import sys
from typing import Any, Self

from bench.servers import Server


class PointLoad:
    """Point queries on a list of some skus, with a pause in seconds between those of a connection."""

    def __init__(self, server: Server, price_list: str, skus: int, pause: float = 0.0) -> None:
        command = [sys.executable, "-m", "bench.load", server.url, price_list, str(skus), str(pause)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def __enter__(self) -> Self:
        if self._process.stdout is None or self._process.stdout.readline() != b"ready\n":
            raise AssertionError("The load did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def stop(self) -> dict[str, Any]:
        """Return how many answers there were, all of them right, and their latencies in seconds: p50 and p99.

        `late_p99` is how late the load itself was after a pause.
        """
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise AssertionError("The load broke off: an answer was wrong, or there was none.")
        result: dict[str, Any] = json.loads(output)
        return result
