"""A persistent connection, as of a load balancer or a browser: reused, and reopened after it was closed."""

import asyncio
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_BOUNDARY = "frontier-of-the-parts"


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection after this response."""
        return self.headers.get("connection") == "close"

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """Sends requests, one after the other. Raises `OSError` or `EOFError` for an incomplete response.

    With `resends` it behaves as browsers do (RFC 9112, section 9.3.1): if a reused connection is closed before the
    first byte of the response, the request is sent again over a new one.
    """

    def __init__(self, url: str, *, resends: bool = False) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._resends = resends
        self._was_used = False
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams, self._was_used = None, False

    async def connect(self) -> None:
        """Connect if not connected."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 20)

    async def get(self, target: str, **headers: str) -> Response:
        return await self._request("GET", target, None, headers)

    async def post(self, body: Any, **headers: str) -> Response:
        """Send JSON to the endpoint."""
        return await self._request(
            "POST", "/graphql", json.dumps(body).encode(), {"content-type": "application/json", **headers}
        )

    async def post_file(self, body: Any, path: str, name: str, content: bytes) -> Response:
        """Send JSON with a file, which takes the place of the null at `path`."""
        fields = [('name="operations"', json.dumps(body).encode()), ('name="map"', json.dumps({"0": [path]}).encode())]
        fields.append((f'name="0"; filename="{name}"', content))
        parts = [
            f"--{_BOUNDARY}\r\ncontent-disposition: form-data; {field}\r\n\r\n".encode() + value
            for field, value in fields
        ]
        multipart = b"\r\n".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])
        headers = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
        return await self._request("POST", "/graphql", multipart, headers)

    async def _request(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Response:
        lines = [f"{method} {target} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        may_be_stale = self._resends and self._was_used
        try:
            return await self._send(request)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            has_begun = isinstance(error, asyncio.IncompleteReadError) and error.partial
            if not may_be_stale or has_begun:
                raise
            return await self._send(request)

    async def _send(self, request: bytes) -> Response:
        await self.connect()
        assert self._streams
        reader, writer = self._streams
        try:
            writer.write(request)
            response = await _read(reader)
        except BaseException:
            self.close()
            raise
        self._was_used = True
        if response.is_last:
            self.close()
        return response


async def _read(reader: asyncio.StreamReader) -> Response:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    headers: dict[str, str] = {}
    for name, _, value in (line.partition(": ") for line in lines if line):
        before = headers.get(name.lower())
        headers[name.lower()] = f"{before}, {value}" if before else value
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Response(int(start.split()[1]), headers, body)
