"""Uploads by the GraphQL multipart request specification: a resolver reads the file while it arrives."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest
import strawberry
from starlette.types import ASGIApp, Message, Scope

from graph.http import lingering_close, multipart_parser
from graph.http.endpoint import Endpoint
from graph.http.multipart import MAX_FIELD_BYTES
from graph.limits.bodies import BodyLimits
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.rows.upload import Upload
from graph.types.batch_inputs import PublishBatchInput
from graph.types.scalars import CONFIG
from tests.graph.api import http_client, with_request_state
from tests.graph.execution import memory

BOUNDARY = "frontier"
LINE = b'{"sku":"%d","amount":"1","currency":"EUR"}\n'
ROWS = b"".join(LINE % i for i in range(10))

DOCUMENT = "mutation ($file: Upload!) { take(file: $file) }"
INPUT_DOCUMENT = "mutation ($input: PublishBatchInput!) { publish(input: $input) }"


async def count(file: Upload) -> str:
    """Read a file; return its name and its numbers of valid and invalid rows."""
    valid = invalid = 0
    async for rows in file.rows().slices():
        valid += len(rows.rows)
        invalid += len(rows.refused)
    return f"{file.name}: {valid} valid, {invalid} invalid"


@strawberry.type
class Query:
    nothing: str | None = None


@strawberry.type
class Mutation:
    @strawberry.mutation
    @staticmethod
    async def take(file: Upload) -> str:
        return await count(file)

    @strawberry.mutation
    @staticmethod
    async def maybe(file: Upload | None = None) -> str:
        return await count(file) if file else "no file"

    @strawberry.mutation
    @staticmethod
    async def publish(input: PublishBatchInput) -> str:  # noqa: A002
        assert input.file
        return f"{input.price_list}, {input.prices}, {await count(input.file)}"

    @strawberry.mutation
    @staticmethod
    async def refuse(file: Upload) -> str:
        return f"{file.name} is not read"


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make responses not receive the rest of a body, so that tests can measure what was read before."""
    monkeypatch.setattr(lingering_close, "MAX_LINGERING_BYTES", 0)


@pytest.fixture
def app() -> ASGIApp:
    """An endpoint with a schema that accepts files, with limits of 10,000,000 bytes for an upload and its file."""
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=CONFIG)
    endpoint = Endpoint(schema, lambda _: memory.context(), max_file_bytes=10_000_000)
    return BodyLimitMiddleware(endpoint, BodyLimits(body=1000, upload=10_000_000))


def part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    named = "" if file_name is None else f'; filename="{file_name}"\r\nContent-Type: application/octet-stream'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


def operations(query: str = DOCUMENT, **variables: Any) -> bytes:
    return part("operations", json.dumps({"query": query, "variables": variables or {"file": None}}).encode())


def file_map(paths: Mapping[str, list[str]] | None = None) -> bytes:
    return part("map", json.dumps(paths or {"0": ["variables.file"]}).encode())


END = f"--{BOUNDARY}--\r\n".encode()
START = operations() + file_map() + part("0", b"", "p.ndjson")[:-2]  # the file follows


def body(content: bytes = ROWS, name: str = "p.ndjson") -> bytes:
    return operations() + file_map() + part("0", content, name) + END


class Sender:
    """The client's side of a connection. `sent` is the number of bytes that the application has received."""

    def __init__(self, chunks: Iterable[bytes], *, disconnects: bool = False, stalls: bool = False) -> None:
        self._chunks = iter(chunks)
        self._disconnects = disconnects
        self._stalls = stalls
        self._next = next(self._chunks, None)
        self.sent = 0

    async def receive(self) -> Message:
        chunk, self._next = self._next, next(self._chunks, None)
        if chunk is None:
            if self._stalls:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self.sent += len(chunk)
        has_more = self._disconnects or self._stalls or self._next is not None
        return {"type": "http.request", "body": chunk, "more_body": has_more}


class Response:
    """The response of the application."""

    def __init__(self, messages: list[Message]) -> None:
        start, *rest = messages
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.json = json.loads(b"".join(message["body"] for message in rest))

    @property
    def code(self) -> str:
        [error] = self.json["errors"]
        code: str = error["extensions"]["code"]
        return code

    @property
    def result(self) -> Any:
        assert "errors" not in self.json, self.json
        assert self.status == 200
        [value] = self.json["data"].values()
        return value


async def send(app: ASGIApp, sender: Sender | bytes, headers: Mapping[str, str] | None = None) -> Response:
    if isinstance(sender, bytes):
        sender = Sender([sender])
    sent: list[Message] = []

    async def record(message: Message) -> None:
        sent.append(message)

    all_headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
    }
    await app(with_request_state(scope), sender.receive, record)
    return Response(sent)


# ---------------------------------------------------------------- accepted requests


async def test_a_file_reaches_its_resolver(app: ASGIApp) -> None:
    response = await send(app, body())
    assert response.result == "p.ndjson: 10 valid, 0 invalid"
    assert "connection" not in response.headers


async def test_the_sizes_of_messages_do_not_matter(app: ASGIApp) -> None:
    whole = body(b"\r\n--front\r\n--\r\n" + ROWS)
    for size in (1, 2, 7, 100):
        chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
        response = await send(app, Sender(chunks))
        assert response.result == "p.ndjson: 10 valid, 2 invalid"
        assert "connection" not in response.headers, "the whole body was read"


async def test_a_file_may_be_a_field_of_an_input_object(app: ASGIApp) -> None:
    fields = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": None, "file": None}
    head = operations(INPUT_DOCUMENT, input=fields) + file_map({"f": ["variables.input.file"]})
    response = await send(app, head + part("f", ROWS, "p.ndjson") + END)
    assert response.result == "retail, None, p.ndjson: 10 valid, 0 invalid"


async def test_a_request_of_httpx_is_accepted(app: ASGIApp) -> None:
    async with http_client(app) as http:
        response = await http.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": DOCUMENT, "variables": {"file": None}}),
                "map": json.dumps({"0": ["variables.file"]}),
            },
            files={"0": ("Präise.ndjson", ROWS)},
        )
    assert response.json() == {"data": {"take": "Präise.ndjson: 10 valid, 0 invalid"}}


async def test_a_boundary_may_be_quoted_and_follow_other_parameters(app: ASGIApp) -> None:
    headers = {"content-type": f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"'}
    assert (await send(app, b"\r\n" + body() + b"epilogue", headers)).result == "p.ndjson: 10 valid, 0 invalid"


async def test_an_empty_file_is_accepted(app: ASGIApp) -> None:
    assert (await send(app, body(b""))).result == "p.ndjson: 0 valid, 0 invalid"


async def test_operations_without_a_file_may_be_sent_as_json(app: ASGIApp) -> None:
    content = json.dumps({"query": "mutation { maybe }"}).encode()
    assert (await send(app, content, {"content-type": "application/json"})).result == "no file"


# ---------------------------------------------------------------- streaming


def endless() -> Iterable[bytes]:
    yield START
    while True:
        yield LINE % 1 * 100


async def test_execution_starts_with_the_header_of_the_file_and_receives_no_more_than_it_needs(app: ASGIApp) -> None:
    whole = operations("mutation ($file: Upload!) { refuse(file: $file) }") + file_map() + part("0", b"", "p.ndjson")
    sender = Sender([whole[:-2], *[ROWS] * 100])
    response = await send(app, sender)
    assert response.result == "p.ndjson is not read"
    assert sender.sent == len(whole) - 2


async def test_a_connection_whose_body_was_not_read_is_closed(app: ASGIApp) -> None:
    unread = operations("mutation ($file: Upload!) { refuse(file: $file) }") + file_map() + part("0", b"", "p.ndjson")
    for start in (unread, operations("{ nonsense }") + START, part("map", b"{}")):
        assert (await send(app, Sender([start, END]))).headers["connection"] == "close"
    assert "connection" not in (await send(app, body())).headers


async def test_a_file_is_decoded_while_it_arrives(app: ASGIApp) -> None:
    sender = Sender(endless())
    response = await send(app, sender)
    assert response.code == "BODY_TOO_LARGE"
    assert "PRICEBOOK_MAX_UPLOAD_BYTES" in response.json["errors"][0]["message"]
    assert sender.sent <= 10_000_000 + 100 * len(LINE % 1)


async def test_an_upload_with_a_content_length_over_the_limit_is_refused_before_it_is_read(app: ASGIApp) -> None:
    sender = Sender(endless())
    response = await send(app, sender, {"content-length": "10000001"})
    assert (response.status, response.code, sender.sent) == (413, "BODY_TOO_LARGE", 0)


async def test_a_client_that_disconnects_interrupts_the_upload(app: ASGIApp) -> None:
    for chunks in ([START], [START, ROWS], [START, ROWS + b"\r\n--" + BOUNDARY.encode()]):
        assert (await send(app, Sender(chunks, disconnects=True))).code == "INTERRUPTED"
    response = await send(app, Sender([operations()], disconnects=True))
    assert (response.status, response.code) == (400, "INTERRUPTED")


async def test_a_client_that_stops_sending_interrupts_the_upload(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart_parser, "RECEIVE_TIMEOUT_SECONDS", 0.01)
    assert (await send(app, Sender([START, ROWS], stalls=True))).code == "INTERRUPTED"


async def test_a_body_that_ends_early_is_refused(app: ASGIApp) -> None:
    whole = body()
    for end in (len(START) + 1, len(whole) - len(END), len(whole) - 4):
        assert (await send(app, whole[:end])).code == "MULTIPART_MALFORMED"


# ---------------------------------------------------------------- refused requests


async def refused(app: ASGIApp, content: bytes, headers: Mapping[str, str] | None = None) -> str:
    response = await send(app, content, headers)
    assert response.status == 400
    assert "data" not in response.json
    return response.code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "MULTIPART_MALFORMED"),
        (b"nonsense", "MULTIPART_MALFORMED"),
        (operations()[:30], "MULTIPART_MALFORMED"),
        (f"--{BOUNDARY}\r\nnonsense\r\n\r\n".encode(), "MULTIPART_MALFORMED"),
        (END, "PARTS_MISPLACED"),
        (file_map() + operations() + part("0", ROWS, "p.ndjson") + END, "PARTS_MISPLACED"),
        (part("0", ROWS, "p.ndjson") + operations() + file_map() + END, "PARTS_MISPLACED"),
        (operations() + part("0", ROWS, "p.ndjson") + file_map() + END, "PARTS_MISPLACED"),
        (operations() + END, "PARTS_MISPLACED"),
        (part("operations", b"{}", "o.json") + file_map() + END, "PARTS_MISPLACED"),
        (part("operations", b"nonsense") + file_map() + END, "BAD_REQUEST"),
        (part("operations", b"[{}]") + file_map() + END, "BATCHING_NOT_SUPPORTED"),
        (part("operations", b"{}") + file_map() + END, "BAD_REQUEST"),
        (operations() + part("map", b"nonsense") + END, "MAP_INVALID"),
        (operations() + part("map", b"\xff") + END, "MAP_INVALID"),
        (operations() + part("map", b"{}") + END, "MAP_INVALID"),
        (operations() + part("map", b'{"0": []}') + END, "MAP_INVALID"),
        (operations() + part("map", b'{"0": "variables.file"}') + END, "MAP_INVALID"),
        (operations() + file_map({"0": ["file"]}) + END, "MAP_INVALID"),
        (operations() + file_map({"0": ["variables"]}) + END, "MAP_INVALID"),
        (operations() + file_map({"0": ["0.variables.file"]}) + END, "MAP_INVALID"),
        (operations() + file_map({"0": ["variables.file", "variables.other"]}) + END, "TOO_MANY_FILES"),
        (operations() + file_map({"0": ["variables.file"], "1": ["variables.other"]}) + END, "TOO_MANY_FILES"),
        (operations() + file_map() + END, "FILE_MISSING"),
        (operations() + file_map() + part("0", ROWS) + END, "FILE_MISSING"),
        (operations() + file_map() + part("0", ROWS, "") + END, "FILE_MISSING"),
        (operations() + file_map() + part("1", ROWS, "p.ndjson") + END, "MAP_INVALID"),
    ],
)
async def test_a_request_that_violates_the_specification_is_refused(app: ASGIApp, content: bytes, code: str) -> None:
    assert await refused(app, content) == code


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"other": None}, "variables.file"),
        ({"file": "x"}, "variables.file"),
        ({"file": {}}, "variables.file"),
        ({"file": None}, "variables.file.nested"),
        ({"file": None}, "variables.input.file"),
        ({"file": [None]}, "variables.file.0"),
    ],
)
async def test_the_variable_of_the_file_must_be_null(app: ASGIApp, variables: dict[str, Any], path: str) -> None:
    head = operations(DOCUMENT, **variables) + file_map({"0": [path]})
    assert await refused(app, head + part("0", ROWS, "p.ndjson") + END) == "MAP_INVALID"


async def test_a_second_file_is_refused(app: ASGIApp) -> None:
    content = operations() + file_map() + part("0", ROWS, "p.ndjson") + part("1", ROWS, "q.ndjson") + END
    response = await send(app, content)
    assert (response.code, response.json["data"]) == ("TOO_MANY_FILES", None)


async def test_a_file_cannot_be_used_twice(app: ASGIApp) -> None:
    twice = "mutation ($file: Upload!) { a: maybe(file: $file) b: maybe(file: $file) }"
    response = await send(app, operations(twice) + file_map() + part("0", ROWS, "p.ndjson") + END)
    assert response.code == "UPLOAD_REUSED"


async def test_a_file_must_be_sent_as_multipart(app: ASGIApp) -> None:
    for value in ("x", 5, {"name": "p.ndjson"}):
        content = json.dumps({"query": DOCUMENT, "variables": {"file": value}}).encode()
        response = await send(app, content, {"content-type": "application/json"})
        assert response.code == "BAD_REQUEST"
    content = json.dumps({"query": 'mutation { take(file: "p.ndjson") }'}).encode()
    assert (await send(app, content, {"content-type": "application/json"})).code == "GRAPHQL_VALIDATION_FAILED"


async def test_a_file_with_an_unknown_extension_is_refused(app: ASGIApp) -> None:
    assert (await send(app, body(name="prices.xlsx"))).code == "UNKNOWN_ENCODING"


async def test_decompressed_files_are_limited() -> None:
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=CONFIG)
    endpoint = Endpoint(schema, lambda _: memory.context(), max_file_bytes=len(ROWS) - 1)
    assert (await send(endpoint, body())).code == "FILE_TOO_LARGE"


async def test_operations_are_limited(app: ASGIApp) -> None:
    def long() -> Iterable[bytes]:
        yield part("operations", b"")[:-2]
        while True:
            yield b" " * 100_000

    limited = BodyLimitMiddleware(cast("BodyLimitMiddleware", app)._app, BodyLimits(upload=10 * MAX_FIELD_BYTES))
    sender = Sender(long())
    response = await send(limited, sender)
    assert (response.status, response.code) == (413, "BODY_TOO_LARGE")
    assert sender.sent <= MAX_FIELD_BYTES + 200_000


async def test_a_body_over_the_limit_before_its_file_is_a_413(app: ASGIApp) -> None:
    response = await send(app, Sender([operations()[:-2], *[b" " * 1_000_000] * 11]))
    assert (response.status, response.code) == (413, "BODY_TOO_LARGE")


async def test_json_has_its_own_limit(app: ASGIApp) -> None:
    response = await send(app, b" " * 1001, {"content-type": "application/json"})
    assert (response.status, response.code) == (413, "BODY_TOO_LARGE")
    assert "PRICEBOOK_MAX_BODY_BYTES" in response.json["errors"][0]["message"]


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300])
async def test_a_content_type_without_a_boundary_is_refused(app: ASGIApp, boundary: str) -> None:
    assert await refused(app, body(), {"content-type": f"multipart/form-data{boundary}"}) == "MULTIPART_MALFORMED"


async def test_a_request_from_another_site_needs_a_preflight(app: ASGIApp) -> None:
    for site in ("cross-site", "same-site"):
        sender = Sender([body()])
        response = await send(app, sender, {"sec-fetch-site": site})
        assert (response.status, response.code, sender.sent) == (403, "PREFLIGHT_REQUIRED", 0)
        for name in ("authorization", "graphql-require-preflight"):
            assert (await send(app, body(), {"sec-fetch-site": site, name: "x"})).status == 200
    for site in ("same-origin", "none"):
        assert (await send(app, body(), {"sec-fetch-site": site})).status == 200


async def test_a_request_from_another_origin_needs_a_preflight_without_sec_fetch_site_too(app: ASGIApp) -> None:
    for origin in ("https://evil.example", "null", "http://pricebook.evil.example"):
        response = await send(app, body(), {"origin": origin, "host": "pricebook"})
        assert (response.status, response.code) == (403, "PREFLIGHT_REQUIRED")
    assert (await send(app, body(), {"origin": "https://pricebook", "host": "pricebook"})).status == 200


async def test_files_are_read_concurrently(app: ASGIApp) -> None:
    responses = await asyncio.gather(*(send(app, body(name=f"{i}.ndjson")) for i in range(10)))
    assert [response.result for response in responses] == [f"{i}.ndjson: 10 valid, 0 invalid" for i in range(10)]
