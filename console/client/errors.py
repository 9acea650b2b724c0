"""The errors of the client.

ApiError
├── Refused            the API refused a mutation: `userErrors`
├── Unauthenticated    the token is missing, invalid or revoked
└── Unreachable        no usable response
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One error of a response: a stable code for programs, and a message for people."""

    code: str
    message: str


class ApiError(Exception):
    """The API did not do what was asked. `problems` has at least one item."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.code}: {problem.message}" for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, code: str, message: str) -> "ApiError":
        """Return the error with one problem."""
        return ApiError([Problem(code, message)])


class Refused(ApiError):
    """The API refused a mutation, and changed nothing."""


class Unauthenticated(ApiError):
    """The token is missing, invalid or revoked: sign in again."""


class Unreachable(ApiError):
    """The API did not respond, or not with GraphQL."""

    def __init__(self, message: str) -> None:
        super().__init__([Problem("UNREACHABLE", message)])


def error_of(errors: Iterable[Any]) -> ApiError:
    """Return the exception for the `errors` of a response."""
    problems = [Problem(code_of(each), str(each.get("message", ""))) for each in errors]
    kind = Unauthenticated if any(problem.code == "UNAUTHENTICATED" for problem in problems) else ApiError
    return kind(problems)


def code_of(error: dict[str, Any]) -> str:
    """Return the code of an item of `errors`."""
    return str((error.get("extensions") or {}).get("code", "ERROR"))
