"""The limits of a process."""

from dataclasses import dataclass


class OverLimit(Exception):
    """More is asked for than is allowed. `status` is that of the HTTP answer; None where it was understood."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document and an operation may be; `page` is how many records one field may be asked for.

    A whole catalogue is read in pages of a thousand, and GraphiQL's introspection is 15 deep: the defaults let both
    through with some room.
    """

    tokens: int = 10_000
    depth: int = 20
    aliases: int = 100
    cost: int = 50_000
    page: int = 1000
    seconds: int = 30
    introspection: bool = True

    def timeout(self) -> OverLimit:
        """Return what a query is told that took too long."""
        message = f"The query took more than {self.seconds} s. Ask for less at once, or try again later."
        return OverLimit("QUERY_TIMEOUT", message, status=503)


DEFAULT_LIMITS = Limits()
