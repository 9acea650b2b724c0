"""Publications reach every page that follows them, whatever happens to one of them or to the stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from console.client import Json
from console.client import feed as feed_module
from console.client.client import ApiClient
from console.client.errors import Unreachable
from console.client.feed import Feed
from tests.waiting import until

PUBLICATION = {"publications": {"priceList": "ecb", "version": 2}}


class Interrupted(ApiClient):
    """An API whose stream breaks after each publication."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9/graphql", None)
        self.opened = 0

    async def subscribe(self, document: str, **variables: object) -> AsyncGenerator[Json, None]:
        self.opened += 1
        yield PUBLICATION
        raise Unreachable("The stream broke.")


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Interrupted]:
    monkeypatch.setattr(feed_module, "FIRST_RETRY_SECONDS", 0.01)
    client = Interrupted()
    yield client
    await client.close()


async def test_all_followers_share_one_stream_which_is_opened_again(client: Interrupted) -> None:
    feed = Feed(client)
    seen: list[list[Json | None]] = [[], []]
    for each in seen:
        feed.follow(each.append)

    async def are_complete() -> bool:
        return all(len(each) >= 3 for each in seen)

    await until(are_complete, "followed")
    publication = PUBLICATION["publications"]
    assert [each[:3] for each in seen] == [[publication, None, publication]] * 2  # some may be missed in between
    feed.stop()
    assert client.opened == 2


async def test_a_page_that_fails_stops_nobody_else(client: Interrupted) -> None:
    feed = Feed(client)
    seen: list[Json | None] = []

    def fail(_: Json | None) -> None:
        raise RuntimeError("The page is gone.")

    feed.follow(fail)
    feed.follow(seen.append)

    async def has_two() -> bool:
        return len(seen) >= 2

    await until(has_two, "two publications")
    feed.stop()


async def test_the_stream_ends_with_its_last_follower(client: Interrupted) -> None:
    feed = Feed(client)
    seen: list[Json | None] = []
    feed.follow(seen.append)
    feed.unfollow(seen.append)
    await asyncio.sleep(0.05)
    assert seen == []
    assert client.opened == 0
