"""Errors of the documents and variables of requests."""

from collections.abc import Sequence

from graphql import GraphQLError

from graph.limits.limits import MAX_ERRORS


class RequestErrors(Exception):
    """The document or the variables of a request are invalid, so that no operation is executed."""

    def __init__(self, errors: Sequence[GraphQLError], code: str) -> None:
        super().__init__(errors[0].message)
        self.errors = [*errors[:MAX_ERRORS]]
        for error in self.errors:
            error.extensions = {"code": code, **(error.extensions or {})}
