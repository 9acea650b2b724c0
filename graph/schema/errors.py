"""Errors as clients receive them: each has a stable code; unexpected errors are logged and masked."""

import functools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from graphql import GraphQLError

from graph.types.payloads import UserError
from storage import PricebookError, Refused, explain

log = logging.getLogger("pricebook.graph")

MAX_MESSAGE_LENGTH = 500
"""Number of characters of an error message. Those of graphql-core contain values of the request."""

P = ParamSpec("P")


class _Payload(Protocol):
    user_errors: list[UserError]


R = TypeVar("R", bound=_Payload)


def user_error(error: Refused) -> UserError:
    """Return the user error of a refusal."""
    return UserError(code=error.code, message=error.message, path=list(error.path) or None)


def return_user_errors(
    payload: Callable[..., R],
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Make a mutation return refusals as the `userErrors` of its payload."""

    def decorate(mutation: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(mutation)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await mutation(*args, **kwargs)
            except Refused as refused:
                return payload(user_errors=[user_error(refused)])

        return wrapper

    return decorate


def format_error(error: GraphQLError) -> dict[str, Any]:
    """Return an error as it appears in a response, with a code.

    An unexpected error is masked: the client receives only an incident ID, under which the error is logged.
    """
    formatted: dict[str, Any] = dict(error.formatted)
    original = error.original_error
    known = None if original is None else explain(original)
    if isinstance(known, PricebookError):
        formatted["message"] = known.message
        code = known.code
    elif original is None or isinstance(original, GraphQLError):
        code = str((error.extensions or {}).get("code", "BAD_REQUEST"))
    elif isinstance(original, ValueError) and error.extensions and "code" in error.extensions:
        # Of `RequestErrors`: a scalar could not parse a value, such as an integer with thousands of digits.
        formatted["message"] = "A value in the request is out of range."
        code = str(error.extensions["code"])
    else:
        incident = secrets.token_hex(8)
        log.error("Incident %s at %s", incident, error.path, exc_info=original)
        formatted["message"] = (
            f"An internal error occurred. Report incident {incident} to the operator of this service."
        )
        code = "INTERNAL"
    message = formatted["message"]
    if len(message) > MAX_MESSAGE_LENGTH:
        formatted["message"] = f"{message[:MAX_MESSAGE_LENGTH]}…"
    formatted["extensions"] = {**formatted.get("extensions", {}), "code": code}
    return formatted
