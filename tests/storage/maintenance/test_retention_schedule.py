"""Versions of a list expire, and its superseded batches end, when that is due."""

import pytest

from storage import BatchState, Store
from storage.maintenance import delay_queue, retention_schedule
from storage.maintenance.expiration import ExpirationResult, SnapshotExpirer
from tests.storage.factories import grown, held, row, versions
from tests.storage.maintaining import working
from tests.waiting import until


async def test_a_list_is_checked_again_when_the_next_step_is_due(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_schedule, "MIN_DELAY_SECONDS", 0.0)
    checks: list[str] = []
    original = SnapshotExpirer.expire

    async def expire(self: SnapshotExpirer, name: str, *, by: str) -> ExpirationResult:
        checks.append(name)
        result = await original(self, name, by=by)
        return ExpirationResult(result.now, due=result.now if len(checks) < 3 else None)

    monkeypatch.setattr(SnapshotExpirer, "expire", expire)
    await grown(store, "retail", 0)

    async def checked() -> bool:
        return len(checks) == 3

    async with working(store):
        await until(checked, "checked three times")


async def test_superseded_batches_end_and_a_list_that_fails_does_not_stop_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delay_queue, "FIRST_RETRY_SECONDS", 300.0)
    await versions(store, 1)
    superseded, _ = await held(store, [row("a", "2")]), await held(store, [row("a", "3")])
    await store.lifecycle.publish_latest("retail", by="ops", reason="x")
    await versions(store, 1, "bad")
    original = SnapshotExpirer.expire

    async def expire(self: SnapshotExpirer, name: str, *, by: str) -> ExpirationResult:
        if name == "bad":
            raise TypeError("Unforeseen.")
        return await original(self, name, by=by)

    async def ended() -> bool:
        return (await store.batches.get(superseded.id)).state is BatchState.REJECTED and "bad" in caplog.text

    monkeypatch.setattr(SnapshotExpirer, "expire", expire)
    async with working(store):
        await until(ended, "ended")
    assert "Could not maintain bad: TypeError: Unforeseen." in caplog.messages
