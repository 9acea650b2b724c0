"""Files by the GraphQL multipart request specification: read while they arrive, by the resolver that takes them."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest
import strawberry
from starlette.types import ASGIApp, Message, Scope

from graph.context import Context
from graph.http import lingering_close, multipart_parser
from graph.http.endpoint import Endpoint
from graph.http.multipart import MAX_FIELD_BYTES
from graph.middleware.body_limit import BodyLimitMiddleware
from graph.rows.upload import Upload
from graph.types.inputs import PublishBatchInput
from graph.types.scalars import CONFIG
from tests.graph.api import http_client, with_request_state

BOUNDARY = "frontier"
LINE = b'{"sku":"%d","amount":"1","currency":"EUR"}\n'
ROWS = b"".join(LINE % i for i in range(10))

DOCUMENT = "mutation ($file: Upload!) { take(file: $file) }"
INPUT_DOCUMENT = "mutation ($input: PublishBatchInput!) { publish(input: $input) }"


async def count(file: Upload) -> str:
    """Take a file, and tell its name and how many rows it has, good and bad."""
    good = bad = 0
    async for rows in file.rows().slices():
        good += len(rows.documents)
        bad += len(rows.errors)
    return f"{file.name}: {good} good, {bad} bad"


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
def _not_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken in after an answer is not looked at here."""
    monkeypatch.setattr(lingering_close, "MAX_LINGERING_BYTES", 0)


@pytest.fixture
def app() -> ASGIApp:
    """An endpoint whose schema takes files, with limits of 10,000,000 bytes for an upload and for its file."""
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=CONFIG)
    endpoint = Endpoint(schema, lambda _: cast("Context", None), max_file_bytes=10_000_000)
    return BodyLimitMiddleware(endpoint, limit=1000, upload_limit=10_000_000)


def part(name: str, content: bytes, file_name: str | None = None) -> bytes:
    named = "" if file_name is None else f'; filename="{file_name}"\r\nContent-Type: application/octet-stream'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


def operations(query: str = DOCUMENT, **variables: Any) -> bytes:
    return part("operations", json.dumps({"query": query, "variables": variables or {"file": None}}).encode())


def mapped(paths: Mapping[str, list[str]] | None = None) -> bytes:
    return part("map", json.dumps(paths or {"0": ["variables.file"]}).encode())


END = f"--{BOUNDARY}--\r\n".encode()
START = operations() + mapped() + part("0", b"", "p.ndjson")[:-2]  # the file follows


def body(content: bytes = ROWS, name: str = "p.ndjson") -> bytes:
    return operations() + mapped() + part("0", content, name) + END


class Sender:
    """A client's side of a connection. It notes how much the application has asked for."""

    def __init__(self, chunks: Iterable[bytes], *, disconnects: bool = False, falls_silent: bool = False) -> None:
        self._multipart = iter(chunks)
        self._disconnects = disconnects
        self._falls_silent = falls_silent
        self._next = next(self._multipart, None)
        self.sent = 0

    async def receive(self) -> Message:
        chunk, self._next = self._next, next(self._multipart, None)
        if chunk is None:
            if self._falls_silent:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        self.sent += len(chunk)
        lasts = self._disconnects or self._falls_silent or self._next is not None
        return {"type": "http.request", "body": chunk, "more_body": lasts}


class Answer:
    """What came back."""

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


async def ask(app: ASGIApp, sender: Sender | bytes, headers: Mapping[str, str] | None = None) -> Answer:
    if isinstance(sender, bytes):
        sender = Sender([sender])
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    named = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    await app(with_request_state(scope), sender.receive, send)
    return Answer(sent)


# ---------------------------------------------------------------- what is taken


async def test_a_file_reaches_its_resolver(app: ASGIApp) -> None:
    answer = await ask(app, body())
    assert answer.result == "p.ndjson: 10 good, 0 bad"
    assert "connection" not in answer.headers


async def test_how_the_body_is_cut_does_not_matter(app: ASGIApp) -> None:
    whole = body(b"\r\n--front\r\n--\r\n" + ROWS)
    for size in (1, 2, 7, 100):
        chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
        answer = await ask(app, Sender(chunks))
        assert answer.result == "p.ndjson: 10 good, 2 bad"
        assert "connection" not in answer.headers, "all of it was read"


async def test_a_file_may_stand_in_an_input_object(app: ASGIApp) -> None:
    given = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "prices": None, "file": None}
    head = operations(INPUT_DOCUMENT, input=given) + mapped({"f": ["variables.input.file"]})
    answer = await ask(app, head + part("f", ROWS, "p.ndjson") + END)
    assert answer.result == "retail, None, p.ndjson: 10 good, 0 bad"


async def test_a_common_client_is_understood(app: ASGIApp) -> None:
    async with http_client(app) as http:
        response = await http.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": DOCUMENT, "variables": {"file": None}}),
                "map": json.dumps({"0": ["variables.file"]}),
            },
            files={"0": ("Präise.ndjson", ROWS)},
        )
    assert response.json() == {"data": {"take": "Präise.ndjson: 10 good, 0 bad"}}


async def test_a_boundary_may_be_quoted_and_stand_behind_other_parameters(app: ASGIApp) -> None:
    headers = {"content-type": f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"'}
    assert (await ask(app, b"\r\n" + body() + b"epilogue", headers)).result == "p.ndjson: 10 good, 0 bad"


async def test_an_empty_file_is_a_file(app: ASGIApp) -> None:
    assert (await ask(app, body(b""))).result == "p.ndjson: 0 good, 0 bad"


async def test_other_operations_are_not_concerned(app: ASGIApp) -> None:
    content = json.dumps({"query": "mutation { maybe }"}).encode()
    assert (await ask(app, content, {"content-type": "application/json"})).result == "no file"


# ---------------------------------------------------------------- as it arrives


def endless() -> Iterable[bytes]:
    yield START
    while True:
        yield LINE % 1 * 100


async def test_execution_begins_with_the_head_of_the_file_and_asks_for_no_more_than_it_needs(app: ASGIApp) -> None:
    whole = operations("mutation ($file: Upload!) { refuse(file: $file) }") + mapped() + part("0", b"", "p.ndjson")
    sender = Sender([whole[:-2], *[ROWS] * 100])
    answer = await ask(app, sender)
    assert answer.result == "p.ndjson is not read"
    assert sender.sent == len(whole) - 2


async def test_a_connection_whose_body_was_not_read_is_closed(app: ASGIApp) -> None:
    unread = operations("mutation ($file: Upload!) { refuse(file: $file) }") + mapped() + part("0", b"", "p.ndjson")
    for start in (unread, operations("{ nonsense }") + START, part("map", b"{}")):
        assert (await ask(app, Sender([start, END]))).headers["connection"] == "close"
    assert "connection" not in (await ask(app, body())).headers


async def test_a_file_is_decoded_while_it_arrives(app: ASGIApp) -> None:
    sender = Sender(endless())
    answer = await ask(app, sender)
    assert answer.code == "BODY_TOO_LARGE"
    assert "PRICEBOOK_MAX_UPLOAD_BYTES" in answer.json["errors"][0]["message"]
    assert sender.sent <= 10_000_000 + 100 * len(LINE % 1)


async def test_an_upload_that_tells_its_length_is_refused_before_it_is_read(app: ASGIApp) -> None:
    sender = Sender(endless())
    answer = await ask(app, sender, {"content-length": "10000001"})
    assert (answer.status, answer.code, sender.sent) == (413, "BODY_TOO_LARGE", 0)


async def test_a_sender_that_goes_away_breaks_the_upload_off(app: ASGIApp) -> None:
    for chunks in ([START], [START, ROWS], [START, ROWS + b"\r\n--" + BOUNDARY.encode()]):
        assert (await ask(app, Sender(chunks, disconnects=True))).code == "INTERRUPTED"
    answer = await ask(app, Sender([operations()], disconnects=True))
    assert (answer.status, answer.code) == (400, "INTERRUPTED")


async def test_a_sender_that_falls_silent_is_given_up(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart_parser, "RECEIVE_TIMEOUT_SECONDS", 0.01)
    assert (await ask(app, Sender([START, ROWS], falls_silent=True))).code == "INTERRUPTED"


async def test_a_body_that_ends_early_is_refused(app: ASGIApp) -> None:
    whole = body()
    for end in (len(START) + 1, len(whole) - len(END), len(whole) - 4):
        assert (await ask(app, whole[:end])).code == "MULTIPART_MALFORMED"


# ---------------------------------------------------------------- what is refused


async def refused(app: ASGIApp, content: bytes, headers: Mapping[str, str] | None = None) -> str:
    answer = await ask(app, content, headers)
    assert answer.status == 400
    assert "data" not in answer.json
    return answer.code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "MULTIPART_MALFORMED"),
        (b"nonsense", "MULTIPART_MALFORMED"),
        (operations()[:30], "MULTIPART_MALFORMED"),
        (f"--{BOUNDARY}\r\nnonsense\r\n\r\n".encode(), "MULTIPART_MALFORMED"),
        (END, "PARTS_MISPLACED"),
        (mapped() + operations() + part("0", ROWS, "p.ndjson") + END, "PARTS_MISPLACED"),
        (part("0", ROWS, "p.ndjson") + operations() + mapped() + END, "PARTS_MISPLACED"),
        (operations() + part("0", ROWS, "p.ndjson") + mapped() + END, "PARTS_MISPLACED"),
        (operations() + END, "PARTS_MISPLACED"),
        (part("operations", b"{}", "o.json") + mapped() + END, "PARTS_MISPLACED"),
        (part("operations", b"nonsense") + mapped() + END, "BAD_REQUEST"),
        (part("operations", b"[{}]") + mapped() + END, "BAD_REQUEST"),
        (part("operations", b"{}") + mapped() + END, "BAD_REQUEST"),
        (operations() + part("map", b"nonsense") + END, "MAP_INVALID"),
        (operations() + part("map", b"\xff") + END, "MAP_INVALID"),
        (operations() + part("map", b"{}") + END, "MAP_INVALID"),
        (operations() + part("map", b'{"0": []}') + END, "MAP_INVALID"),
        (operations() + part("map", b'{"0": "variables.file"}') + END, "MAP_INVALID"),
        (operations() + mapped({"0": ["file"]}) + END, "MAP_INVALID"),
        (operations() + mapped({"0": ["variables"]}) + END, "MAP_INVALID"),
        (operations() + mapped({"0": ["0.variables.file"]}) + END, "MAP_INVALID"),
        (operations() + mapped({"0": ["variables.file", "variables.other"]}) + END, "TOO_MANY_FILES"),
        (operations() + mapped({"0": ["variables.file"], "1": ["variables.other"]}) + END, "TOO_MANY_FILES"),
        (operations() + mapped() + END, "FILE_MISSING"),
        (operations() + mapped() + part("0", ROWS) + END, "FILE_MISSING"),
        (operations() + mapped() + part("0", ROWS, "") + END, "FILE_MISSING"),
        (operations() + mapped() + part("1", ROWS, "p.ndjson") + END, "MAP_INVALID"),
    ],
)
async def test_a_request_that_is_not_as_specified_is_refused(app: ASGIApp, content: bytes, code: str) -> None:
    assert await refused(app, content) == code


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"other": None}, "variables.file"),
        ({"file": "x"}, "variables.file"),
        ({"file": {}}, "variables.file"),
        ({"file": None}, "variables.file.deeper"),
        ({"file": None}, "variables.input.file"),
        ({"file": [None]}, "variables.file.0"),
    ],
)
async def test_a_path_must_lead_to_a_null(app: ASGIApp, variables: dict[str, Any], path: str) -> None:
    head = operations(DOCUMENT, **variables) + mapped({"0": [path]})
    assert await refused(app, head + part("0", ROWS, "p.ndjson") + END) == "MAP_INVALID"


async def test_a_second_file_is_refused(app: ASGIApp) -> None:
    content = operations() + mapped() + part("0", ROWS, "p.ndjson") + part("1", ROWS, "q.ndjson") + END
    answer = await ask(app, content)
    assert (answer.code, answer.json["data"]) == ("TOO_MANY_FILES", None)


async def test_a_file_cannot_be_used_twice(app: ASGIApp) -> None:
    twice = "mutation ($file: Upload!) { a: maybe(file: $file) b: maybe(file: $file) }"
    answer = await ask(app, operations(twice) + mapped() + part("0", ROWS, "p.ndjson") + END)
    assert answer.code == "UPLOAD_REUSED"


async def test_a_file_comes_in_no_other_way(app: ASGIApp) -> None:
    for value in ("x", 5, {"name": "p.ndjson"}):
        content = json.dumps({"query": DOCUMENT, "variables": {"file": value}}).encode()
        answer = await ask(app, content, {"content-type": "application/json"})
        assert answer.code == "BAD_REQUEST"
    content = json.dumps({"query": 'mutation { take(file: "p.ndjson") }'}).encode()
    assert (await ask(app, content, {"content-type": "application/json"})).code == "GRAPHQL_VALIDATION_FAILED"


async def test_a_file_whose_name_says_nothing_is_refused(app: ASGIApp) -> None:
    assert (await ask(app, body(name="prices.xlsx"))).code == "UNKNOWN_ENCODING"


async def test_the_limit_of_a_decompressed_file_is_kept() -> None:
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=CONFIG)
    endpoint = Endpoint(schema, lambda _: cast("Context", None), max_file_bytes=len(ROWS) - 1)
    assert (await ask(endpoint, body())).code == "FILE_TOO_LARGE"


async def test_operations_are_limited(app: ASGIApp) -> None:
    def long() -> Iterable[bytes]:
        yield part("operations", b"")[:-2]
        while True:
            yield b" " * 100_000

    limited = BodyLimitMiddleware(cast("BodyLimitMiddleware", app)._app, limit=1000, upload_limit=10 * MAX_FIELD_BYTES)
    sender = Sender(long())
    answer = await ask(limited, sender)
    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")
    assert sender.sent <= MAX_FIELD_BYTES + 200_000


async def test_a_body_over_the_limit_before_its_file_is_a_413(app: ASGIApp) -> None:
    answer = await ask(app, Sender([operations()[:-2], *[b" " * 1_000_000] * 11]))
    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")


async def test_json_keeps_its_own_limit(app: ASGIApp) -> None:
    answer = await ask(app, b" " * 1001, {"content-type": "application/json"})
    assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")
    assert "PRICEBOOK_MAX_BODY_BYTES" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300])
async def test_a_content_type_without_a_boundary_is_refused(app: ASGIApp, boundary: str) -> None:
    assert await refused(app, body(), {"content-type": f"multipart/form-data{boundary}"}) == "MULTIPART_MALFORMED"


async def test_a_page_of_another_site_must_ask_first(app: ASGIApp) -> None:
    for site in ("cross-site", "same-site"):
        sender = Sender([body()])
        answer = await ask(app, sender, {"sec-fetch-site": site})
        assert (answer.status, answer.code, sender.sent) == (403, "PREFLIGHT_REQUIRED", 0)
        for name in ("authorization", "graphql-require-preflight"):
            assert (await ask(app, body(), {"sec-fetch-site": site, name: "x"})).status == 200
    for site in ("same-origin", "none"):
        assert (await ask(app, body(), {"sec-fetch-site": site})).status == 200


async def test_a_page_of_another_origin_must_ask_first_also_where_its_browser_does_not_say_site(app: ASGIApp) -> None:
    for origin in ("https://evil.example", "null", "http://pricebook.evil.example"):
        answer = await ask(app, body(), {"origin": origin, "host": "pricebook"})
        assert (answer.status, answer.code) == (403, "PREFLIGHT_REQUIRED")
    assert (await ask(app, body(), {"origin": "https://pricebook", "host": "pricebook"})).status == 200


async def test_files_are_read_side_by_side(app: ASGIApp) -> None:
    answers = await asyncio.gather(*(ask(app, body(name=f"{i}.ndjson")) for i in range(10)))
    assert [answer.result for answer in answers] == [f"{i}.ndjson: 10 good, 0 bad" for i in range(10)]
