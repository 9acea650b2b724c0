"""The messages of the graphql-transport-ws protocol that clients send, and the codes that close a connection."""

from collections.abc import Callable
from enum import IntEnum
from typing import Annotated, Any

import msgspec

PROTOCOL = "graphql-transport-ws"

MAX_OPERATION_ID_LENGTH = 128
"""Number of characters of the id of an operation."""


class CloseCode(IntEnum):
    """The codes with which this end closes a connection: those of the protocol, and two of RFC 6455's registry."""

    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    INVALID_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    ID_IN_USE = 4409
    TOO_MANY_REQUESTS = 4429


Id = Annotated[str, msgspec.Meta(max_length=MAX_OPERATION_ID_LENGTH)]


class ConnectionInit(msgspec.Struct, tag="connection_init"):
    """The first message of a client; its payload has the credentials."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, tag="ping"):
    """A request for a pong."""


class Pong(msgspec.Struct, tag="pong"):
    """The answer to a ping, or a heartbeat."""


class Subscribe(msgspec.Struct, tag="subscribe"):
    """The start of an operation of any type. Its payload is decoded like a request of any other transport."""

    id: Id
    payload: msgspec.Raw


class Complete(msgspec.Struct, tag="complete"):
    """The end of an operation."""

    id: Id


Message = ConnectionInit | Ping | Pong | Subscribe | Complete

decode_message: Callable[[str], Message] = msgspec.json.Decoder(Message).decode
"""Decode a message. Raises `msgspec.DecodeError`, `RecursionError`."""
