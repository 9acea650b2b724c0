"""Requests with a file, by the GraphQL multipart request specification: `operations`, `map`, then one file.

Execution starts as soon as the header of the file part has arrived. The resolver that takes the file reads it from the
connection, as fast as its rows can be stored.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from graph.asgi.media_types import MULTIPART
from graph.http.errors import FileMissing, MapInvalid, PartsMisplaced, PreflightRequired, UploadRefused
from graph.http.multipart_parser import MultipartReader, UploadTooLarge
from graph.http.requests import GraphQLRequest, decode_request
from graph.request_state import REQUEST_STATE, RequestState
from graph.rows.upload import Upload
from storage import FileRefused, Interrupted

MAX_FIELD_BYTES = 1 << 20
"""Longest `operations` or `map`, which are held in memory. Rows belong in the file."""

PREFLIGHT_HEADER = "GraphQL-Require-Preflight"
"""A header that a browser sends to another site only after a CORS preflight; without one multipart needs none."""

_PREFLIGHT_HEADERS = ("Authorization", PREFLIGHT_HEADER, "Apollo-Require-Preflight")


class TooManyFiles(FileRefused):
    """The request has more than one file."""

    code = "TOO_MANY_FILES"

    def __init__(self) -> None:
        super().__init__("A request may have one file, for one variable. Send other files in separate requests.")


class UploadRequest(GraphQLRequest):
    """A GraphQL request with a file and the path of its variable."""

    upload: Upload | None = None
    path: tuple[str, ...] = ()

    def insert_upload(self, variables: dict[str, Any]) -> None:
        """Set the variable that the file is for. Raises `MapInvalid`."""
        *parents, last = self.path
        target: Any = variables
        for name in parents:
            target = target.get(name) if isinstance(target, dict) else None
        if not isinstance(target, dict) or target.get(last, ...) is not None:
            path = ".".join(self.path)
            raise MapInvalid(f"`map` names variables.{path}, which is not null in `operations`. Set it to null there.")
        target[last] = self.upload


def is_multipart(request: Request) -> bool:
    """Whether a request is a multipart request, which may have a file."""
    state: RequestState = request.scope[REQUEST_STATE]
    media_type = state.header(b"content-type").partition(";")[0]
    return request.method == "POST" and media_type.strip().lower() == MULTIPART


async def read_multipart(request: Request, max_file_bytes: int) -> UploadRequest:
    """Read a request up to the beginning of its file. Raises `HTTPError`."""
    if _is_cross_site(request):
        raise PreflightRequired(
            f"A multipart request from another site needs one of the headers {', '.join(_PREFLIGHT_HEADERS)}."
        )
    state: RequestState = request.scope[REQUEST_STATE]
    _, options = parse_options_header(state.header(b"content-type"))
    try:
        reader = MultipartReader(request.receive, options.get(b"boundary", b""))
        operations = decode_request(await _read_field(reader, "operations"), "part `operations`")
        field, path = _decode_map(await _read_field(reader, "map"))
        upload = await _open_upload(reader, field, max_file_bytes)
        return UploadRequest(**msgspec.structs.asdict(operations), upload=upload, path=path)
    except (FileRefused, Interrupted) as error:
        raise UploadRefused(error, 413 if isinstance(error, UploadTooLarge) else 400) from error


async def _read_field(reader: MultipartReader, name: str) -> bytes:
    part = await reader.next_part()
    if part is None or part.name != name or part.file_name is not None:
        found = f"found `{part.name[:100]}`" if part else "the body ended"
        raise PartsMisplaced(
            f"Expected the part `{name}`, but {found}. Send `operations`, `map` and the file, in this order."
        )
    value = bytearray()
    async for data in reader.data():
        value += data
        if len(value) > MAX_FIELD_BYTES:
            raise UploadTooLarge(f"`{name}` is over {MAX_FIELD_BYTES} bytes. Send rows in the file.")
    return bytes(value)


def _decode_map(json: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the name of the file's part, and the path of the variable that the file is for."""
    try:
        paths_by_field = msgspec.json.decode(json, type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MapInvalid(f'`map` must be like {{"0": ["variables.input.file"]}}: {error}.') from error
    if len(paths_by_field) > 1 or any(len(paths) > 1 for paths in paths_by_field.values()):
        raise TooManyFiles
    for field, paths in paths_by_field.items():
        for path in paths:
            first, *names = path.split(".")
            if first == "variables" and names:
                return field, tuple(names)
    raise MapInvalid('`map` must name one variable, as in {"0": ["variables.input.file"]}.')


async def _open_upload(reader: MultipartReader, field: str, max_file_bytes: int) -> Upload:
    part = await reader.next_part()
    if part is None:
        raise FileMissing(f"The body ends before the file `{field[:100]}` of `map`. Send it after `map`.")
    if part.name != field:
        raise MapInvalid(f"`map` names the file `{field[:100]}`, but the part is named `{part.name[:100]}`.")
    if not part.file_name:
        raise FileMissing(f"The part `{field[:100]}` has no `filename`. Its extension gives the format of the file.")
    return Upload(part.file_name, _file_data(reader), max_file_bytes)


async def _file_data(reader: MultipartReader) -> AsyncIterator[bytes]:
    async for data in reader.data():
        yield data
    if await reader.next_part():
        raise TooManyFiles
    await reader.finish()


def _is_cross_site(request: Request) -> bool:
    if any(name in request.headers for name in _PREFLIGHT_HEADERS):
        return False
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        return True
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
