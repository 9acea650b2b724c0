"""Requests with a file, by the GraphQL multipart request specification: `operations`, `map`, then one file.

The request is executed as soon as the file's head has come; the resolver that takes the file reads it from the
connection, as fast as its rows can be stored.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from graph.asgi.headers import header
from graph.asgi.media_types import MULTIPART
from graph.http.errors import BadRequest
from graph.http.multipart_parser import Parts, UploadTooLarge
from graph.http.requests import GraphQLRequest, decode_request
from graph.rows.upload import Upload
from storage import FileRefused, Interrupted

# `operations` and `map` are held in memory; rows have a way of their own.
MAX_FIELD_BYTES = 16 << 20

# A page in a browser may send multipart to another site without asking first, unless one of these goes with it.
PREFLIGHT = "GraphQL-Require-Preflight"
_ASKED_FIRST = ("Authorization", PREFLIGHT, "Apollo-Require-Preflight")


class TooManyFiles(FileRefused):
    """More than one file."""

    code = "TOO_MANY_FILES"

    def __init__(self) -> None:
        super().__init__("A request carries one file, for one variable. Send the others in requests of their own.")


class UploadRequest(GraphQLRequest):
    """A GraphQL request, its file, and the path of the variable that the file is for."""

    upload: Upload | None = None
    path: tuple[str, ...] = ()

    def place(self, variables: dict[str, Any]) -> None:
        """Put the file where it belongs. Raises `BadRequest`."""
        *parents, last = self.path
        place: Any = variables
        for name in parents:
            place = place.get(name) if isinstance(place, dict) else None
        if not isinstance(place, dict) or place.get(last, ...) is not None:
            path = ".".join(self.path)
            raise BadRequest(400, "MAP_INVALID", f"`map` names variables.{path}, which is not null in `operations`.")
        place[last] = self.upload


def is_multipart(request: Request) -> bool:
    """Whether a request may carry a file."""
    media_type = header(request.scope, b"content-type").partition(";")[0]
    return request.method == "POST" and media_type.strip().lower() == MULTIPART


async def read_multipart(request: Request, max_file_bytes: int) -> UploadRequest:
    """Read a request up to the beginning of its file. Raises `BadRequest`, `BodyTooLarge`."""
    if _is_cross_site(request):
        raise BadRequest(403, "PREFLIGHT_REQUIRED", f"From another site, send one of {', '.join(_ASKED_FIRST)} too.")
    _, options = parse_options_header(header(request.scope, b"content-type"))
    try:
        parts = Parts(request.receive, options.get(b"boundary", b""))
        asked = decode_request(await _field(parts, "operations"), "part `operations`")
        field, path = _mapped(await _field(parts, "map"))
        upload = await _upload(parts, field, max_file_bytes)
        return UploadRequest(**msgspec.structs.asdict(asked), upload=upload, path=path)
    except (FileRefused, Interrupted) as error:
        raise BadRequest(413 if isinstance(error, UploadTooLarge) else 400, error.code, error.message) from error


async def _field(parts: Parts, name: str) -> bytes:
    head = await parts.head()
    if head is None or head.name != name or head.file_name is not None:
        found = f"`{head.name[:100]}` stands" if head else "the end is"
        raise BadRequest(
            400,
            "PARTS_MISPLACED",
            f"Send `operations`, `map` and the file, in this order; {found} where `{name}` belongs.",
        )
    value = bytearray()
    async for data in parts.data():
        value += data
        if len(value) > MAX_FIELD_BYTES:
            raise BadRequest(413, "BODY_TOO_LARGE", f"`{name}` is over {MAX_FIELD_BYTES} bytes. Send rows in the file.")
    return bytes(value)


def _mapped(raw: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the field of the one file that there is, and the path of the variable that it is for."""
    try:
        mapped = msgspec.json.decode(raw, type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            400, "MAP_INVALID", f'`map` must be like {{"0": ["variables.input.file"]}}: {error}.'
        ) from error
    if len(mapped) > 1 or any(len(paths) > 1 for paths in mapped.values()):
        raise TooManyFiles
    for field, paths in mapped.items():
        for path in paths:
            first, *names = path.split(".")
            if first == "variables" and names:
                return field, tuple(names)
    raise BadRequest(400, "MAP_INVALID", 'Let `map` name one variable, as {"0": ["variables.input.file"]}.')


async def _upload(parts: Parts, field: str, max_file_bytes: int) -> Upload:
    head = await parts.head()
    if head is None:
        raise BadRequest(400, "FILE_MISSING", f"The file `{field[:100]}`, which `map` names, did not come.")
    if head.name != field:
        raise BadRequest(400, "MAP_INVALID", f"The file `{head.name[:100]}` came, but `map` names `{field[:100]}`.")
    if not head.file_name:
        raise BadRequest(400, "FILE_MISSING", f"The part `{field[:100]}` has no `filename`, which says how to read it.")
    return Upload(head.file_name, _chunks(parts), max_file_bytes)


async def _chunks(parts: Parts) -> AsyncIterator[bytes]:
    async for data in parts.data():
        yield data
    if await parts.head():
        raise TooManyFiles
    await parts.finish()


def _is_cross_site(request: Request) -> bool:
    if any(name in request.headers for name in _ASKED_FIRST):
        return False
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        return True
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
