"""The figures of an import in progress: rows, rows per second, time left."""

import datetime
import time

from cli.imports.parts import Part


class Transfer:
    """Counts the parts that are stored. The time left is estimated from the bytes of the files."""

    def __init__(self, file_bytes: int) -> None:
        self.file_bytes = file_bytes
        self.read_bytes = 0
        self.rows = 0
        self._sent_rows = 0
        self._sent_bytes = 0
        self._started_at: float | None = None

    def start(self) -> None:
        """Start the clock, at the first part that is sent."""
        if self._started_at is None:
            self._started_at = time.monotonic()

    def add_skipped(self, part: Part) -> None:
        """Count a part that an earlier run sent; the speed ignores it."""
        self.rows += len(part.rows)
        self.read_bytes += part.read_bytes

    def add_sent(self, part: Part) -> None:
        """Count a part that was sent and is stored."""
        self._sent_rows += len(part.rows)
        self._sent_bytes += part.read_bytes
        self.add_skipped(part)

    def __str__(self) -> str:
        status = f"{self.rows:,} rows"
        seconds = time.monotonic() - self._started_at if self._started_at else 0
        if not self._sent_bytes or not seconds:
            return status
        left = (self.file_bytes - self.read_bytes) * seconds / self._sent_bytes
        return f"{status}, {self._sent_rows / seconds:,.0f} rows/s, {datetime.timedelta(seconds=round(left))} left"
