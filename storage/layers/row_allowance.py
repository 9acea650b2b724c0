"""The limit of the rows that one scan reads."""

from storage.errors import ScanLimit

MAX_SCAN = 1_000_000
"""Default limit of the rows that a scan reads: about a second of CPU."""


class RowAllowance:
    """The rows that a scan still may read. `refusal` is the error of one that would read more."""

    def __init__(self, rows: int, refusal: ScanLimit) -> None:
        self.rows = rows
        self.refusal = refusal

    def spend(self, rows: int) -> None:
        """Account for rows to be read. Raises `ScanLimit`."""
        if rows > self.rows:
            raise self.refusal
        self.rows -= rows
