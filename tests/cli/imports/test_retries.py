"""Interrupted requests of an import are repeated, and refused ones are not."""

import asyncio

import httpx
import pytest

from cli.client import client
from tests.cli.imports.batch_server import BatchServer, Json, error, invalid, response
from tests.cli.imports.conftest import Run


@pytest.mark.parametrize("operation", ["open", "append", "commit", "status"])
@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("Connection refused"),
        httpx.RemoteProtocolError("Server disconnected"),
        httpx.ReadTimeout(""),
        httpx.Response(502, text="<html>Bad Gateway</html>"),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(200, json={"data": None, "errors": [{"message": "No.", "extensions": {"code": "UNAVAILABLE"}}]}),
        httpx.Response(400, json={"errors": [{"message": "No.", "extensions": {"code": "INTERRUPTED"}}]}),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_interrupted_requests_are_repeated(
    run: Run, server: BatchServer, prices: str, operation: str, fault: httpx.Response | Exception
) -> None:
    server.sealing_polls = 1
    server.faults[operation] = [fault, fault, fault]
    result = run(prices)
    assert result.exit_code == 0
    assert server.batch.skus == [f"S{number}" for number in range(10)]
    assert result.stderr.count("trying again in 0.0 s") == 3


def test_a_lost_response_does_no_harm(run: Run, server: BatchServer, prices: str) -> None:
    """The server has stored the part, but the response is lost."""
    append = server._append

    async def lose_the_first_response(request: Json, file: tuple[str, bytes] | None) -> httpx.Response:
        response = await append(request, file)
        if len(server.appended) == 1:
            raise httpx.ReadError("Connection reset by peer")
        return response

    server._append = lose_the_first_response  # type: ignore[method-assign]
    assert run(prices, "--parallel", "1").exit_code == 0
    assert server.appended == [0, 0, 1, 2, 3, 4]


def test_few_attempts_are_made_if_no_server_ever_responded(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["open"] = [httpx.ConnectError("Connection refused")] * 100
    result = run(prices)
    assert result.exit_code == 1
    assert server.requests["open"] == client.MAX_FIRST_ATTEMPTS
    assert "No response from http://127.0.0.1:8000/graphql after 4 attempts" in result.stderr
    assert "Connection refused" in result.stderr


def test_many_attempts_are_made_if_the_server_responded_before(run: Run, server: BatchServer, prices: str) -> None:
    server.faults["append"] = [httpx.Response(503)] * 1000
    result = run(prices, "--parallel", "1")
    assert result.exit_code == 1
    assert server.requests["append"] == client.MAX_ATTEMPTS


def test_delays_grow_with_jitter_and_respect_retry_after(
    run: Run, server: BatchServer, prices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = []
    original_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            delays.append(seconds)
        await original_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(client, "FIRST_DELAY_SECONDS", 0.5)
    server.faults["commit"] = [*[httpx.Response(503)] * 9, httpx.Response(429, headers={"Retry-After": "7"})]
    assert run(prices).exit_code == 0
    for delay, longest in zip(delays[:9], [0.5, 1, 2, 4, 8, 15, 15, 15, 15], strict=True):
        assert longest / 2 <= delay <= longest
    assert delays[9:] == [7]


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (httpx.Response(413, text="too large"), "responded 413, not GraphQL: too large"),
        (httpx.Response(200, json=[]), "responded 200, not GraphQL"),
        (
            httpx.Response(401, json={"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}),
            "responded with errors:\n  UNAUTHENTICATED: No.",
        ),
        (
            response(appendBatch={"batch": None, "userErrors": [error("LINE_TOO_LONG")]}),
            "LINE_TOO_LONG: Read the manual.",
        ),
    ],
)
def test_refused_requests_are_not_repeated(
    run: Run, server: BatchServer, prices: str, refusal: httpx.Response, message: str
) -> None:
    server.faults["append"] = [refusal]
    result = run(prices, "--parallel", "1")
    assert result.exit_code == 1
    assert message in result.stderr
    assert server.requests["append"] == 1
    assert server.batch.committed is None


def test_invalid_items_are_reported_at_once_and_the_other_parts_still_sent(
    run: Run, server: BatchServer, prices: str
) -> None:
    server.bad_sequences = {1, 3}
    server.outcome = {"state": "FAILED", "errorCount": 2}
    server.errors = [invalid(2), invalid(6)]
    result = run(prices)
    assert result.exit_code == 1
    assert result.stderr.count("Read the manual. Continuing, to find all invalid items") == 1
    assert sorted(server.appended) == [0, 1, 2, 3, 4]
    assert "2  AMOUNT_NEGATIVE" in result.stdout
