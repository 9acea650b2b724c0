"""The key set: looked at anew for a new key, and after a while; kept while its place does not answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from graph.identity import jwks
from graph.identity.jwks import BadKeySet, KeySet, read_keys
from tests.graph.identity.keys import Signer, write_keys

ONE, TWO = Signer("one"), Signer("two")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(jwks, "time", time)
    return time


async def test_a_new_key_is_looked_for_at_once_but_not_too_often(tmp_path: Path, time: Time) -> None:
    place = write_keys(tmp_path / "keys.json", ONE)
    keys = KeySet(str(place))
    assert await keys.find("one")
    write_keys(place, ONE, TWO)
    assert await keys.find("two") is None
    time.now += jwks.RETRY_SECONDS
    assert await keys.find("two")


async def test_a_key_that_was_taken_out_is_of_no_use_after_a_while(tmp_path: Path, time: Time) -> None:
    place = write_keys(tmp_path / "keys.json", ONE, TWO)
    keys = KeySet(str(place))
    assert await keys.find("one")
    write_keys(place, TWO)
    time.now += jwks.FRESH_SECONDS - 1
    assert await keys.find("one")
    time.now += 1
    assert await keys.find("one") is None


async def test_while_the_place_does_not_answer_its_keys_stay(tmp_path: Path, time: Time) -> None:
    place = write_keys(tmp_path / "keys.json", ONE)
    keys = KeySet(str(place))
    assert await keys.find("one")
    place.write_text("{broken")
    time.now += 2 * jwks.FRESH_SECONDS
    assert await keys.find("one")
    place.unlink()
    time.now += 2 * jwks.FRESH_SECONDS
    assert await keys.find("one")


Answer = Callable[[], bytes]


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server of whatever its list ends with, and its address; each answer that was given is kept before it."""
    answers = [b""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[-1])
        answers.insert(0, answers[-1])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys", answers


def response(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def test_a_set_can_be_had_from_a_url(served: tuple[str, list[bytes]]) -> None:
    url, answers = served
    answers[-1] = response(json.dumps({"keys": [ONE.jwk()]}).encode())
    assert set(await read_keys(url)) == {"one"}


async def test_many_tokens_at_once_ask_once(served: tuple[str, list[bytes]]) -> None:
    url, answers = served
    answers[-1] = response(json.dumps({"keys": [ONE.jwk()]}).encode())
    keys = KeySet(url)
    assert all(await asyncio.gather(*(keys.find("one") for _ in range(50))))
    assert len(answers) == 2


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", "500 Internal Server Error"),
        response(b"", "302 Found", "location: http://127.0.0.1:1/\r\n"),
        response(b"[]"),
        response(b'{"keys": []}'),
        response(b"x" * (jwks.MAX_BYTES + 1)),
        b"nonsense",
    ],
)
async def test_what_is_no_set_is_told(served: tuple[str, list[bytes]], answer: bytes) -> None:
    url, answers = served
    answers[-1] = answer
    with pytest.raises(BadKeySet):
        await read_keys(url)
