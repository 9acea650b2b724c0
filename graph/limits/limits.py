"""The limits of documents and operations."""

from dataclasses import dataclass

MAX_ERRORS = 5
"""Number of errors to report of a document or of variables. Attackers send documents with thousands."""


class OverLimit(Exception):
    """A request exceeds a limit. `status` is the HTTP status; None for an error in a response with status 200."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a document and an operation. `page` limits the records of one field.

    The defaults leave room above common queries: exports read pages of a thousand prices, and GraphiQL's introspection
    query has some 200 tokens and is 15 levels deep. With 2,000 tokens no document takes longer than half a second to
    validate, which is quadratic in equal fields.
    """

    tokens: int = 2000
    depth: int = 20
    aliases: int = 100
    cost: int = 50_000
    page: int = 1000
    seconds: int = 30
    introspection: bool = True

    def timeout(self) -> OverLimit:
        """Return the error of a query that timed out."""
        message = f"The query took longer than {self.seconds} s. Request less data, or try again later."
        return OverLimit("QUERY_TIMEOUT", message, status=503)


DEFAULT_LIMITS = Limits()
