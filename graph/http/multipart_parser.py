"""The parts of a multipart body, read as they arrive; nothing is kept but what the last message brought."""

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

# A sender that is silent for so long, in seconds, is taken for lost.
SILENCE_SECONDS = 60.0


class MultipartMalformed(FileRefused):
    """The body does not follow RFC 7578."""

    code = "MULTIPART_MALFORMED"


class UploadTooLarge(FileRefused):
    """The request is over the limit; its length was not told before."""

    code = BodyTooLarge.code


class _Mark(Enum):
    PART_END = 1
    END = 2


@dataclass(slots=True)
class Head:
    """The beginning of a part: the field's name, and the file's where it is one."""

    name: str = ""
    file_name: str | None = None


@dataclass(slots=True)
class _Header:
    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)


_Event = Head | bytes | _Mark


class Parts:
    """Reads a body part by part: `head`, then `data`, then the next `head`.

    Raises `MultipartMalformed`, `UploadTooLarge`, and `Interrupted` when the sender goes away or falls silent.
    """

    def __init__(self, receive: Receive, boundary: bytes) -> None:
        if not 1 <= len(boundary) <= MAX_BOUNDARY_LENGTH:
            raise MultipartMalformed("The Content-Type must name the multipart body's `boundary`.")
        self._receive = receive
        self._over = False
        self._events: deque[_Event] = deque()
        self._head = Head()
        self._header = _Header()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": lambda: self._events.append(self._head),
                "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                "on_part_end": lambda: self._events.append(_Mark.PART_END),
                "on_end": lambda: self._events.append(_Mark.END),
            },
        )

    async def head(self) -> Head | None:
        """Return the next part's head, or None at the end of the body."""
        event = await self._next()
        return event if isinstance(event, Head) else None

    async def data(self) -> AsyncIterator[bytes]:
        """Return what the part holds whose head was just read."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def finish(self) -> None:
        """Read what follows the last part, which is nothing or to be ignored."""
        while not self._over:
            await self._pump()

    async def _next(self) -> _Event:
        while not self._events:
            if self._over:
                raise MultipartMalformed("The multipart body ends too early. Send all of it.")
            await self._pump()
        return self._events.popleft()

    async def _pump(self) -> None:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await self._receive()
        except TimeoutError as error:
            raise Interrupted(f"Nothing came for {SILENCE_SECONDS:.0f} s. Send it again with the same key.") from error
        except BodyTooLarge as error:
            raise UploadTooLarge(str(error)) from error
        if message["type"] == "http.disconnect":
            raise Interrupted("The connection broke off. Send it again with the same key.")
        self._over = not message.get("more_body", False)
        try:
            self._parser.write(message.get("body", b""))
        except FormParserError as error:
            raise MultipartMalformed(f"The body is no valid multipart/form-data: {error}.") from error

    def _on_part_begin(self) -> None:
        self._head = Head()

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
        self._head.name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" in options:
            self._head.file_name = options[b"filename"].decode(errors="replace")
