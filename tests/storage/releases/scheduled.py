"""Releases with a batch of each of some lists: open, scheduled, and due."""

import datetime
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from storage import Batch, BatchState, Event, Release, ReleaseRefused, Store
from storage.mongodb.server_time import server_time
from storage.releases import scheduling
from tests.storage.factories import row, submit

LISTS = ("retail", "wholesale")


async def at(store: Store, minutes: float) -> datetime.datetime:
    """An instant some minutes ago, or ahead."""
    return await server_time(store.client) + timedelta(minutes=minutes)


async def opened(store: Store, name: str = "autumn") -> Release:
    """A release without batches."""
    return await store.release_editor.create(name, secrets.token_hex(8), by="planner")


async def add(store: Store, release: Release, price_list: str, amount: str = "9", **more: Any) -> Batch:
    """A sealed batch of a release."""
    batch = await submit(store, [row("a", amount)], price_list, release=release.id, **more)
    assert batch.state is BatchState.HELD, batch
    return batch


async def filled(store: Store, lists: Sequence[str] = LISTS) -> Release:
    """An open release with a batch of each list."""
    release = await opened(store)
    for name in lists:
        await add(store, release, name)
    return await store.releases.get(release.id)


async def published(store: Store, lists: Sequence[str] = LISTS) -> Release:
    """A release with a batch of each list that was published."""
    return await store.release_publisher.publish((await filled(store, lists)).id, by="ops")


async def schedule(store: Store, release: Release, minutes: float, by: str = "ops") -> Release:
    """Schedule a release; also for an instant that has passed, as if it had been done before."""
    with patch.object(scheduling, "check_publish_at"):
        return await store.release_scheduling.schedule(release.id, await at(store, minutes), by=by, reason="as planned")


async def newest_events(store: Store, lists: Sequence[str] = LISTS) -> list[Event]:
    """The newest event of each list."""
    return [event for name in lists for event in await store.events.newest(name, 1)]


async def revisions(store: Store, lists: Sequence[str] = LISTS) -> list[int]:
    """The revisions of the pointers of lists."""
    return [(await store.price_lists.get(name)).revision for name in lists]


def found_against(refused: ReleaseRefused) -> list[tuple[str, str]]:
    """The list and the code of each objection."""
    return [(each.path[-1], each.code) for each in refused.objections]
