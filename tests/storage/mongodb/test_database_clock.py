"""The estimate of the database's time is never behind the database, and ahead by no more than a sample takes."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import DatabaseClock, Store
from storage.mongodb import database_clock

START = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)


async def test_it_agrees_with_the_database(store: Store) -> None:
    clock = DatabaseClock(store.client)
    await clock.sample()
    [found] = await (await store.db.aggregate([{"$documents": [{}]}, {"$project": {"now": "$$NOW"}}])).to_list()
    assert abs(clock.seconds_until(found["now"])) < 1


def test_before_the_first_sample_everything_is_due() -> None:
    assert DatabaseClock(None).seconds_until(START) == 0.0  # type: ignore[arg-type]


@given(
    skew=st.floats(-1e6, 1e6),
    there=st.floats(0, 2),
    back=st.floats(0, 2),
    later=st.floats(0, 1000),
    ahead=st.floats(-1000, 1000),
)
async def test_it_errs_on_the_early_side(skew: float, there: float, back: float, later: float, ahead: float) -> None:
    local = 5000.0

    def true_time() -> float:
        return START.timestamp() + skew + local

    async def server_time(_: object) -> datetime.datetime:
        nonlocal local
        local += there
        now = datetime.datetime.fromtimestamp(true_time() // 0.001 / 1000, datetime.UTC)
        local += back
        return now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_clock, "server_time", server_time)
        clock = DatabaseClock(None, lambda: local)  # type: ignore[arg-type]
        await clock.sample()
    local += later
    instant = datetime.datetime.fromtimestamp(true_time() + ahead, datetime.UTC)
    estimated, left = clock.seconds_until(instant), instant.timestamp() - true_time()
    assert left - there - 0.002 <= estimated <= left + 0.0001
