"""What the transport refuses, each with a status and a stable code."""

from dataclasses import dataclass

from graph.http.response import Answer, error_response
from graph.identity.callers import Unauthenticated


class BadRequest(Exception):
    """The HTTP request does not carry a GraphQL request, or none that can be executed.

    Without a status of its own it was understood: that is 400, save for the legacy media type.
    """

    def __init__(self, status: int | None, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes of body are allowed, and the setting that says so."""

    bytes: int
    setting: str


class BodyTooLarge(Exception):
    """More bytes came than are allowed."""

    code = "BODY_TOO_LARGE"

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"The body is over {limit.bytes} bytes. Send the batch in parts, or raise {limit.setting}.")


def unauthenticated(refused: Unauthenticated) -> Answer:
    """Return the answer to who has to say, or to prove, who they are (RFC 6750)."""
    return error_response(401, refused.code, refused.message, {"www-authenticate": 'Bearer realm="pricebook"'})
