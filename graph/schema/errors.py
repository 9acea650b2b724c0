"""Errors as clients get them: each with a stable code; what is no fault of the caller is masked and logged."""

import functools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from graphql import GraphQLError

from graph.types.payloads import UserError
from storage import PricebookError, Refused, explain

log = logging.getLogger("pricebook.graph")

P = ParamSpec("P")


class _Payload(Protocol):
    user_errors: list[UserError]


R = TypeVar("R", bound=_Payload)


def user_error(error: Refused) -> UserError:
    """Return what the caller can mend."""
    return UserError(code=error.code, message=error.message, path=list(error.path) or None)


def answer_refusals(
    payload: Callable[..., R],
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Make a mutation answer with a payload's `userErrors` when it is refused."""

    def decorate(mutation: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(mutation)
        async def answering(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await mutation(*args, **kwargs)
            except Refused as refused:
                return payload(user_errors=[user_error(refused)])

        return answering

    return decorate


def present(error: GraphQLError) -> dict[str, Any]:
    """Return an error as the response has it, with a code.

    An error that was not foreseen is told by an id alone; the log has the id with the whole error.
    """
    formatted: dict[str, Any] = dict(error.formatted)
    original = error.original_error
    known = None if original is None else explain(original)
    if isinstance(known, PricebookError):
        formatted["message"] = known.message
        code = known.code
    elif original is None or isinstance(original, GraphQLError):
        code = str((error.extensions or {}).get("code", "BAD_REQUEST"))
    else:
        incident = secrets.token_hex(8)
        log.error("incident %s at %s", incident, error.path, exc_info=original)
        formatted["message"] = f"Something went wrong here, not with your request. Incident {incident}."
        code = "INTERNAL"
    formatted["extensions"] = {**formatted.get("extensions", {}), "code": code}
    return formatted


def as_presented(error: GraphQLError) -> GraphQLError:
    """Return an error that says no more than `present` does, for transports that format it themselves."""
    if error.original_error is None:
        return error
    shown = present(error)
    return GraphQLError(shown["message"], error.nodes, path=error.path, extensions=shown["extensions"])
