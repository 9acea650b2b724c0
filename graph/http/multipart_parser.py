"""A streaming parser of multipart bodies: parts are read while they arrive, and only the last message is in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MAX_BOUNDARY_LENGTH, MultipartParser, parse_options_header
from starlette.types import Receive

from graph.http.errors import BodyTooLarge
from storage import FileRefused, Interrupted

RECEIVE_TIMEOUT_SECONDS = 60.0
"""Time to wait for the next bytes of a body."""


class MalformedMultipart(FileRefused):
    """The body is not valid multipart/form-data (RFC 7578)."""

    code = "MULTIPART_MALFORMED"


class UploadTooLarge(FileRefused):
    """The body, or a field that is held in memory, is longer than allowed."""

    code = BodyTooLarge.code


class _End(Enum):
    PART = 1
    BODY = 2


@dataclass(slots=True)
class PartHeader:
    """The name of a part's field, and the file name if it is a file."""

    name: str = ""
    file_name: str | None = None


@dataclass(slots=True)
class _Header:
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)


_Event = PartHeader | bytes | _End


class MultipartReader:
    """Reads a body part by part: `next_part`, then `data`, then the next part.

    Raises `MalformedMultipart`, `UploadTooLarge`, and `Interrupted` if the client disconnects or stops sending.
    """

    def __init__(self, receive: Receive, boundary: bytes) -> None:
        if not 1 <= len(boundary) <= MAX_BOUNDARY_LENGTH:
            raise MalformedMultipart(
                f"The Content-Type has no valid `boundary`. It needs one of 1 to {MAX_BOUNDARY_LENGTH} characters."
            )
        self._receive = receive
        self._is_received = False
        self._events: deque[_Event] = deque()
        self._part = PartHeader()
        self._header = _Header()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": lambda: self._events.append(self._part),
                "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                "on_part_end": lambda: self._events.append(_End.PART),
                "on_end": lambda: self._events.append(_End.BODY),
            },
        )

    async def next_part(self) -> PartHeader | None:
        """Return the header of the next part; None at the end of the body."""
        event = await self._next_event()
        return event if isinstance(event, PartHeader) else None

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the data of the part whose header was read last."""
        while isinstance(event := await self._next_event(), bytes):
            yield event

    async def finish(self) -> None:
        """Read and discard the epilogue after the last part."""
        while not self._is_received:
            await self._parse_message()

    async def _next_event(self) -> _Event:
        while not self._events:
            if self._is_received:
                raise MalformedMultipart("The multipart body ends too early. Send all of it.")
            await self._parse_message()
        return self._events.popleft()

    async def _parse_message(self) -> None:
        try:
            async with asyncio.timeout(RECEIVE_TIMEOUT_SECONDS):
                message = await self._receive()
        except TimeoutError as error:
            raise Interrupted(
                f"No data was received for {RECEIVE_TIMEOUT_SECONDS:.0f} s. Send the request again with the same "
                "idempotency key."
            ) from error
        except BodyTooLarge as error:
            raise UploadTooLarge(error.message) from error
        if message["type"] == "http.disconnect":
            raise Interrupted("The client disconnected. Send the request again with the same idempotency key.")
        self._is_received = not message.get("more_body", False)
        try:
            self._parser.write(message.get("body", b""))
        except FormParserError as error:
            raise MalformedMultipart(f"The body is not valid multipart/form-data: {error}.") from error

    def _on_part_begin(self) -> None:
        self._part = PartHeader()

    def _on_header_begin(self) -> None:
        self._header = _Header()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header.name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header.value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.name.lower() != b"content-disposition":
            return
        _, options = parse_options_header(bytes(self._header.value))
        self._part.name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" in options:
            self._part.file_name = options[b"filename"].decode(errors="replace")
