"""The versions to expire are those that a simple model finds, however they are paged, and none is due earlier."""

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Layer, PriceList, Retention, Snapshot, SnapshotState
from storage.catalog.expiration import ExpirationRepository, Marks, PublishedVersion
from storage.catalog.price_lists import Pin
from storage.maintenance import expiration_search
from storage.maintenance.expiration_search import find_expiring

NOW = datetime.datetime(2026, 3, 31, 12, 30, tzinfo=datetime.UTC)
GRACE = datetime.timedelta(minutes=10)
MINUTE, DAY = datetime.timedelta(minutes=1), datetime.timedelta(days=1)
MILLISECOND = datetime.timedelta(milliseconds=1)


class Memory(ExpirationRepository):
    """Manifests in memory, in the order of their versions."""

    def __init__(self, manifests: Sequence[Snapshot]) -> None:
        self.published = [each for each in manifests if each.state is SnapshotState.PUBLISHED]

    async def oldest_of_newest(self, price_list: str, count: int) -> int | None:
        newest = self.published[-count:]
        return newest[0].version if len(newest) == count else None

    async def unlabelled(self, price_list: str, above: int, limit: int) -> list[PublishedVersion]:
        found = [each for each in self.published if each.label is None and each.version > above]
        return [PublishedVersion(each.version, each.published_at or each.created_at) for each in found[:limit]]

    async def marks(self, price_list: str, versions: Sequence[int]) -> dict[int, Marks]:
        return {each.version: Marks(each.read_at, None) for each in self.published if each.version in versions}


def version(number: int, minutes: int = 200_000, **more: Any) -> Snapshot:
    """A version that was published that many minutes ago."""
    at = NOW - minutes * MINUTE
    fields: dict[str, Any] = {"state": SnapshotState.PUBLISHED, "label": None, **more}
    return Snapshot(
        "retail", number, (Layer("x", 1, ""),), 1, created_at=at, published_at=at, batch="batch", base=None, **fields
    )


def price_list(retention: Retention, current: int = 99, pinned: int | None = None) -> PriceList:
    pin = None if pinned is None else Pin(pinned, "audit", "ops", NOW)
    return PriceList("retail", None, current, 99, 1, pin, NOW, retention=retention)


async def expired(
    retention: Retention, manifests: Sequence[Snapshot], current: int = 99, pinned: int | None = None
) -> list[int]:
    found = await find_expiring(Memory(manifests), price_list(retention, current, pinned), NOW, GRACE, 1000)
    return [each.version for each in found.versions]


NONE = Retention(versions=1, days=0)


async def test_the_newest_versions_are_kept() -> None:
    manifests = [version(number) for number in range(1, 6)]
    assert await expired(Retention(versions=2, days=0), manifests) == [1, 2, 3]
    assert await expired(Retention(versions=5, days=0), manifests) == []
    assert await expired(Retention(versions=9, days=0), manifests) == []


async def test_versions_that_were_never_published_do_not_count_among_the_newest() -> None:
    assert await expired(NONE, [version(1), version(2), version(3, state=SnapshotState.SEALED)]) == [1]


@pytest.mark.parametrize(
    ("kept", "held"),
    [
        (version(1, 10_000), {}),
        (version(1, label="spring"), {}),
        (version(1, read_at=NOW - 9 * MINUTE), {}),
        (version(1, state=SnapshotState.SEALED), {}),
        (version(1, state=SnapshotState.RETIRED), {}),
        (version(1), {"current": 1}),
        (version(1), {"pinned": 1}),
    ],
    ids=["young", "labelled", "read", "held for a review", "expired already", "current", "pinned"],
)
async def test_some_versions_are_kept_regardless_of_their_number(kept: Snapshot, held: dict[str, int]) -> None:
    others = [version(number, 10_000 if kept.published_at == NOW - 10_000 * MINUTE else 200_000) for number in (2, 3)]
    expected = [] if kept.published_at == NOW - 10_000 * MINUTE else [2]
    assert await expired(Retention(versions=1, days=7), [kept, *others], **held) == expected


async def test_thinning_never_takes_one_of_the_newest() -> None:
    manifests = [version(number, 5 * 24 * 60 - number) for number in range(1, 6)]
    assert await expired(Retention(3, 30, thin=True), manifests) == [1, 2]


async def test_the_reason_names_the_rules() -> None:
    found = await find_expiring(Memory([version(1), version(2)]), price_list(Retention(1, 3)), NOW, GRACE, 9)
    assert [each.reason for each in found.versions] == ["Version 1 is not one of the newest 1, and older than 3 days."]


async def test_a_limit_ends_the_search_after_the_oldest() -> None:
    found = await find_expiring(Memory([version(number) for number in range(1, 9)]), price_list(NONE), NOW, GRACE, 3)
    assert [each.version for each in found.versions] == [1, 2, 3]
    assert found.end == 4


@st.composite
def histories(draw: st.DrawFn) -> list[Snapshot]:
    """Versions in the order of their publication, some with a label, some read lately, some never published."""
    times = sorted(draw(st.lists(st.integers(0, 12 * 24 * 60), max_size=30)), reverse=True)
    return [
        version(
            number,
            minutes,
            label=draw(st.sampled_from([None, None, None, "x"])),
            state=draw(st.sampled_from([SnapshotState.PUBLISHED] * 4 + [SnapshotState.SEALED])),
            read_at=draw(st.none() | st.integers(0, 30).map(lambda ago: NOW - ago * MINUTE)),
        )
        for number, minutes in enumerate(times, 1)
    ]


def model(manifests: Sequence[Snapshot], retention: Retention, held: set[int], now: datetime.datetime) -> list[int]:
    """What expires, rule by rule."""
    published = [each for each in manifests if each.state is SnapshotState.PUBLISHED]
    plain = [each for each in published if each.label is None]
    newest = {each.version for each in published[-retention.versions :]}
    return [
        each.version
        for each in plain
        if each.version not in newest | held
        and not (each.read_at and now - each.read_at <= GRACE)
        and not _is_young(each, plain, retention, now)
    ]


def _is_young(each: Snapshot, plain: Sequence[Snapshot], retention: Retention, now: datetime.datetime) -> bool:
    age, time = now - each.created_at, each.created_at
    later = [other.created_at for other in plain if other.version > each.version]
    if age >= retention.days * DAY or not retention.thin or age < DAY:
        return age < retention.days * DAY
    if age < 7 * DAY:
        return not any((other.date(), other.hour) == (time.date(), time.hour) for other in later)
    return not any(other.date() == time.date() for other in later)


RETENTIONS = st.builds(Retention, st.integers(1, 6), st.integers(0, 14), st.booleans())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), RETENTIONS, st.integers(1, 31), st.none() | st.integers(1, 31), st.integers(1, 5))
async def test_what_expires_is_what_a_simple_model_finds(
    monkeypatch: pytest.MonkeyPatch,
    manifests: list[Snapshot],
    retention: Retention,
    current: int,
    pinned: int | None,
    page: int,
) -> None:
    monkeypatch.setattr(expiration_search, "VERSIONS_PER_READ", page)
    held = {current} if pinned is None else {current, pinned}
    pointer = price_list(retention, current, pinned)
    found = await find_expiring(Memory(manifests), pointer, NOW, GRACE, 1000)
    versions = [each.version for each in found.versions]
    assert versions == model(manifests, retention, held, NOW)
    for later in range(0, 15 * 24 * 60, 311):
        then = NOW + later * MINUTE
        if found.due is None or then < found.due:
            assert model(manifests, retention, held, then) == versions, "nothing expires before it is due"
