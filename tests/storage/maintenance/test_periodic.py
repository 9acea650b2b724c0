"""Work that is repeated goes on after every error; an expected one is logged without its traceback."""

import asyncio

import pytest
from pymongo.errors import AutoReconnect

from storage import Unavailable
from storage.maintenance.periodic import repeat


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [(AutoReconnect("x"), False), (Unavailable("x"), False), (ZeroDivisionError("x"), True)],
)
async def test_work_is_repeated_after_an_error(
    caplog: pytest.LogCaptureFixture, error: Exception, has_traceback: bool
) -> None:
    calls, repeated, stopping = 0, asyncio.Event(), asyncio.Event()

    async def act() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error
        repeated.set()

    task = asyncio.create_task(repeat("count", 0.0, act, stopping))
    await repeated.wait()
    stopping.set()
    await task
    [record] = caplog.records
    assert record.message == f"Task 'count' failed and will be retried: {type(error).__name__}: x"
    assert (record.name, bool(record.exc_info)) == ("pricebook.maintenance", has_traceback)
