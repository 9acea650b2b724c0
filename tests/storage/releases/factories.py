"""Factories of the tests of releases: lists with a version, releases, and batches that wait in them."""

import secrets
from collections.abc import Sequence
from typing import Any

from storage import Batch, BatchState, Release, ReleaseRefused, Store
from tests.storage.factories import Row, current, order, row, source, versions

LISTS = ("books", "games", "tools")


async def lists(store: Store, count: int = 1, names: Sequence[str] = LISTS) -> None:
    """Create lists with published versions, of which the newest has the price `count` of the sku `a`."""
    for name in names:
        await versions(store, count, name)


async def release(store: Store, key: str | None = None) -> Release:
    """An open release without batches."""
    return await store.release_editor.create("Spring", key or secrets.token_hex(8), by="ann")


async def wait(
    store: Store, release: Release, price_list: str, prices: Sequence[Row] = (row("a", "9"),), **more: Any
) -> Batch:
    """A batch that waits in a release."""
    sent = order(price_list, **{"release": release.id, **more})
    batch = await store.submitter.submit(sent, await source(prices))
    assert batch.state is BatchState.HELD, batch
    return batch


async def filled(store: Store, names: Sequence[str] = LISTS) -> Release:
    """A release with a batch for each list."""
    opened = await release(store)
    for name in names:
        await wait(store, opened, name)
    return await store.releases.get(opened.id)


async def all_current(store: Store, names: Sequence[str] = LISTS) -> list[int | None]:
    """The current version of each list."""
    return [await current(store, name) for name in names]


def told(refused: ReleaseRefused) -> list[tuple[str, str]]:
    """The list and the code of each objection."""
    return [(each.path[-1], each.code) for each in refused.objections]
