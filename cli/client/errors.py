"""The errors of the client."""

from collections.abc import Mapping, Sequence

import click

from cli.client import Json
from cli.output import printable


class ApiError(click.ClickException):
    """The API does not respond, or refuses a request; exit code 1."""


def payload_of(data: Json, advice: Mapping[str, str] | None = None) -> Json:
    """Return the payload of a document's one mutation. Raises `ApiError` for `userErrors`."""
    payload: Json
    ((mutation, payload),) = data.items()
    if payload["userErrors"]:
        raise refusal(mutation, payload["userErrors"], advice)
    return payload


def refusal(mutation: str, user_errors: Sequence[Json], advice: Mapping[str, str] | None = None) -> ApiError:
    """Return the error for `userErrors`, and then the advice on each code."""
    lines = [f"  {error['code']}: {printable(error['message'])}" for error in user_errors]
    codes = dict.fromkeys(error["code"] for error in user_errors)
    advices = [f"  {advice[code]}" for code in codes if advice and code in advice]
    return ApiError("\n".join([f"{mutation} was refused:", *lines, *advices]))
