"""Starts and stops a load of point queries in a separate process (`bench.load`)."""

import json
import subprocess
import sys
from typing import Any, Self

from bench.servers import Server


class PointLoad:
    """Point queries on a list with `skus` skus. `pause` is the pause of each connection between two, in seconds."""

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
        """Return the number of responses, `p50` and `p99` of their latencies, and `late_p99`, all in seconds.

        `late_p99` is how late the load itself resumed after a pause. Raises `AssertionError` after a wrong response.
        """
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise AssertionError("The load failed: a response was wrong or missing.")
        result: dict[str, Any] = json.loads(output)
        return result
