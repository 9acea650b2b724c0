"""The key set: refreshed for an unknown key and after a while, and kept while its source is unavailable."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.identity import jwks
from graph.identity.jwks import BadKeySet, KeySet, read_keys
from tests.graph.identity.keys import Signer, write_keys

ONE, TWO = Signer("one"), Signer("two")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(jwks, "time", time)
    return time


async def test_an_unknown_key_refreshes_the_set_at_most_once_per_interval(tmp_path: Path, time: Clock) -> None:
    file = write_keys(tmp_path / "keys.json", ONE)
    keys = KeySet(str(file))
    assert await keys.find("one")
    write_keys(file, ONE, TWO)
    assert await keys.find("two") is None
    time.now += jwks.MIN_REFRESH_INTERVAL_SECONDS
    assert await keys.find("two")


async def test_a_removed_key_is_no_longer_accepted_after_a_while(tmp_path: Path, time: Clock) -> None:
    file = write_keys(tmp_path / "keys.json", ONE, TWO)
    keys = KeySet(str(file))
    assert await keys.find("one")
    write_keys(file, TWO)
    time.now += jwks.MAX_AGE_SECONDS - 1
    assert await keys.find("one")
    time.now += 1
    assert await keys.find("one") is None


async def test_the_last_keys_stay_in_use_while_the_source_is_unavailable(tmp_path: Path, time: Clock) -> None:
    file = write_keys(tmp_path / "keys.json", ONE)
    keys = KeySet(str(file))
    assert await keys.find("one")
    file.write_text("{broken")
    time.now += 2 * jwks.MAX_AGE_SECONDS
    assert await keys.find("one")
    file.unlink()
    time.now += 2 * jwks.MAX_AGE_SECONDS
    assert await keys.find("one")


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server's URL and its responses. It sends the last one, and inserts a copy at the front for each request."""
    responses = [b""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(responses[-1])
        responses.insert(0, responses[-1])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys", responses


def response(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def test_a_set_can_be_read_from_a_url(served: tuple[str, list[bytes]]) -> None:
    url, responses = served
    responses[-1] = response(json.dumps({"keys": [ONE.jwk()]}).encode())
    assert set(await read_keys(url)) == {"one"}


async def test_concurrent_tokens_read_the_set_once(served: tuple[str, list[bytes]]) -> None:
    url, responses = served
    responses[-1] = response(json.dumps({"keys": [ONE.jwk()]}).encode())
    keys = KeySet(url)
    assert all(await asyncio.gather(*(keys.find("one") for _ in range(50))))
    assert len(responses) == 2


@pytest.mark.parametrize(
    "invalid",
    [
        response(b"", "500 Internal Server Error"),
        response(b"", "302 Found", "location: http://127.0.0.1:1/\r\n"),
        response(b"[]"),
        response(b'{"keys": []}'),
        response(b"x" * (jwks.MAX_BYTES + 1)),
        b"nonsense",
    ],
)
async def test_an_invalid_set_is_an_error(served: tuple[str, list[bytes]], invalid: bytes) -> None:
    url, responses = served
    responses[-1] = invalid
    with pytest.raises(BadKeySet):
        await read_keys(url)
