"""The versions to expire are those that a simple model finds, however they are paged, and none is due earlier."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import PriceList, Retention
from storage.catalog.expiration import ExpirationRepository, MarkedVersion, ReplacedVersion
from storage.catalog.keep import Keep
from storage.catalog.price_lists import Pin
from storage.maintenance import expiration_search
from storage.maintenance.expiration_search import Expiring, find_expiring

NOW = datetime.datetime(2026, 3, 31, 12, 30, tzinfo=datetime.UTC)
GRACE = datetime.timedelta(minutes=10)
MINUTE, DAY = datetime.timedelta(minutes=1), datetime.timedelta(days=1)


class Memory(ExpirationRepository):
    """Published versions in memory. `current`, the only one that was not replaced, counts among the newest."""

    def __init__(self, replaced: Sequence[ReplacedVersion], current: int | None = None) -> None:
        self.by_time = sorted(replaced, key=lambda each: (each.replaced_at, each.version))
        self.numbers = sorted({each.version for each in replaced} | ({current} if current else set()))
        self.pages = 0

    async def oldest_of_newest(self, price_list: str, count: int) -> int | None:
        return self.numbers[-count] if len(self.numbers) >= count else None

    async def replaced(
        self, price_list: str, below: int, limit: int, since: datetime.datetime | None, besides: Sequence[int]
    ) -> list[ReplacedVersion]:
        self.pages += 1
        later = [each for each in self.by_time if since is None or each.replaced_at >= since]
        return [each for each in later if each.version < below and each.version not in besides][:limit]


def version(
    number: int, minutes: int = 200_000, current_for: int = 0, read: int | None = None, kept: int | None = None
) -> ReplacedVersion:
    """A version that was replaced that many minutes ago, and `kept` for that many from now on."""
    replaced = NOW - minutes * MINUTE
    return ReplacedVersion(
        number,
        replaced - current_for * MINUTE,
        replaced,
        None if kept is None else Keep(NOW + kept * MINUTE, "ops", "audit", NOW),
        None if read is None else NOW - read * MINUTE,
    )


def price_list(retention: Retention, current: int = 99, pinned: int | None = None) -> PriceList:
    pin = None if pinned is None else Pin(pinned, "audit", "ops", NOW)
    return PriceList("retail", None, current, 99, 1, pin, NOW, retention=retention)


async def find(retention: Retention, *versions: ReplacedVersion, limit: int = 1000) -> Expiring:
    return await find_expiring(Memory(versions, 99), price_list(retention), NOW, GRACE, limit)


async def expired(retention: Retention, *versions: ReplacedVersion) -> list[int]:
    return [each.version for each in (await find(retention, *versions)).versions]


NONE = Retention(versions=1, days=0)


async def test_the_newest_versions_are_kept() -> None:
    versions = [version(number) for number in range(1, 5)]
    assert await expired(Retention(versions=2, days=0), *versions) == [1, 2, 3]
    assert await expired(Retention(versions=5, days=0), *versions) == []
    assert await expired(Retention(versions=9, days=0), *versions) == []


@pytest.mark.parametrize(
    ("kept", "is_kept"),
    [
        (version(1), False),
        (version(1, minutes=10_000), True),
        (version(1, minutes=10_000, current_for=900_000), True),
        (version(1, read=9), True),
        (version(1, read=11), False),
        (version(1, kept=1), True),
        (version(1, kept=0), False),
    ],
    ids=["old", "young", "current until lately", "read", "not read lately", "kept", "not kept any more"],
)
async def test_some_versions_are_kept_regardless_of_their_number(kept: ReplacedVersion, is_kept: bool) -> None:
    assert await expired(Retention(versions=1, days=7), kept, version(2)) == ([2] if is_kept else [1, 2])


async def test_the_versions_of_the_pointer_are_kept() -> None:
    found = await find_expiring(Memory([version(1), version(2)], 99), price_list(NONE, 1, 2), NOW, GRACE, 9)
    assert found.versions == []


async def test_a_rollback_does_not_hide_older_versions_that_were_current_later() -> None:
    rolled_back_to, young, old = version(1, minutes=60, current_for=500_000), version(2, minutes=90), version(3)
    found = await find(Retention(versions=1, days=1), rolled_back_to, young, old)
    assert [each.version for each in found.versions] == [3]
    assert found.due == NOW + DAY - 90 * MINUTE


async def test_a_kept_version_expires_when_its_time_is_over() -> None:
    assert (await find(NONE, version(1, kept=90))).due == NOW + 90 * MINUTE


async def test_the_search_ends_at_the_first_version_that_is_too_young() -> None:
    memory = Memory([version(number, minutes=5_000 - number) for number in range(1, 5_000)], 5_000)
    found = await find_expiring(memory, price_list(Retention(1, 30), 5_000), NOW, GRACE, 9)
    assert (found.versions, memory.pages) == ([], 1)


async def test_thinning_never_takes_one_of_the_newest() -> None:
    versions = [version(number, 5 * 24 * 60 - number) for number in range(1, 6)]
    assert await expired(Retention(4, 30, thin=True), *versions) == [1, 2]


async def test_the_reason_names_the_rules() -> None:
    found = await find(Retention(1, 3), version(1))
    assert [each.reason for each in found.versions] == [
        "Version 1 is not one of the newest 1, and was last current 3 days ago."
    ]


async def test_a_limit_ends_the_search_after_those_replaced_first() -> None:
    versions = [version(number, minutes=100 + number) for number in range(1, 9)]
    found = await find(NONE, *versions, limit=3)
    assert [each.version for each in found.versions] == [8, 7, 6]
    assert not found.is_complete
    marks = [MarkedVersion(each.version, each.replaced_at) for each in (version(9, minutes=109), *versions)]
    assert [each.version for each in marks if found.keeps(each)] == [9], "the others are not checked, or expire"


async def test_a_mark_on_a_version_that_is_current_again_is_not_needed() -> None:
    found = await find(NONE, version(1), version(2), limit=1)
    assert found.keeps(MarkedVersion(3, None))


# ---------------------------------------------------------------- against a model


class Move(NamedTuple):
    """A publish, or a rollback to one of the versions, that many minutes after the move before it."""

    minutes: int
    back: int | None


class History(NamedTuple):
    """The versions of a list after some moves, and the current one."""

    replaced: list[ReplacedVersion]
    current: int


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Replay publishes and rollbacks; some versions were read lately or are kept, some times are the same."""
    moves = draw(
        st.lists(st.builds(Move, st.integers(0, 40) | st.integers(0, 3000), st.none() | st.integers(0, 9)), max_size=30)
    )
    at = NOW - (draw(st.integers(0, 3000)) + sum(each.minutes for each in moves)) * MINUTE
    published, replaced, current = {1: at}, dict[int, datetime.datetime](), 1
    for move in moves:
        at += move.minutes * MINUTE
        target = len(published) + 1 if move.back is None else 1 + move.back % len(published)
        if target == current:
            continue
        replaced[current] = at
        replaced.pop(target, None)
        published.setdefault(target, at)
        current = target
    minutes = st.integers(0, 3000)
    versions = [
        ReplacedVersion(
            number,
            published[number],
            time,
            draw(st.none() | minutes.map(lambda until: Keep(NOW + until * MINUTE, "ops", "audit", NOW))),
            draw(st.none() | minutes.map(lambda ago: NOW - ago * MINUTE)),
        )
        for number, time in replaced.items()
    ]
    return History(versions, current)


def model(history: History, retention: Retention, now: datetime.datetime) -> set[int]:
    """What expires, rule by rule."""
    numbers = sorted([each.version for each in history.replaced] + [history.current])
    return {
        each.version
        for each in history.replaced
        if each.version not in numbers[-retention.versions :]
        and not (each.read_at and now - each.read_at < GRACE)
        and not (each.keep and each.keep.until > now)
        and not _is_young(each, retention, now)
    }


def _is_young(each: ReplacedVersion, retention: Retention, now: datetime.datetime) -> bool:
    age, first, last = now - each.replaced_at, each.published_at, each.replaced_at
    if age >= retention.days * DAY or not retention.thin or age < DAY:
        return age < retention.days * DAY
    if age < 7 * DAY:
        return (first.date(), first.hour) != (last.date(), last.hour)
    return first.date() != last.date()


RETENTIONS = st.builds(Retention, st.integers(1, 6), st.integers(0, 14), st.booleans())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), RETENTIONS, st.integers(1, 5))
async def test_what_expires_is_what_a_simple_model_finds(
    monkeypatch: pytest.MonkeyPatch, history: History, retention: Retention, page: int
) -> None:
    monkeypatch.setattr(expiration_search, "VERSIONS_PER_READ", page)
    memory, pointer = Memory(history.replaced, history.current), price_list(retention, history.current)
    found = await find_expiring(memory, pointer, NOW, GRACE, 1000)
    versions = {each.version for each in found.versions}
    assert versions == model(history, retention, NOW)
    assert found.due is None or found.due > NOW
    for later in range(0, 15 * 24 * 60, 311):
        then = NOW + later * MINUTE
        if found.due is None or then < found.due:
            assert model(history, retention, then) == versions, "nothing expires before it is due"
