"""`pricebook show --as-of`, `timeline`, `exposures`: the same output over HTTP and directly on MongoDB."""

import datetime

import pytest

from cli.output import time
from storage import PublishPolicy, Store
from tests.cli.ops.commands import Run, cells, json_of, output_of
from tests.storage.factories import create, published, row, submit


@pytest.fixture
async def moves(store: Store) -> list[str]:
    """A list in which `a` costs 1, 2, 1, and then is gone; the times at which that began, an hour apart."""
    await create(store)
    await published(store, [row("a", "1")])
    await published(store, [row("a", "2")])
    await store.pointer_moves.rollback("retail", 1, by="ops", reason="wrong", pin=False)
    await published(store, [row("b", "5")])
    now = await store.now()
    moves = []
    for revision in range(2, 6):
        at = now - datetime.timedelta(hours=6 - revision)
        await store.db["events"].update_one({"list": "retail", "revision": revision}, {"$set": {"at": at}})
        moves.append(at.isoformat())
    return moves


async def test_a_timeline_shows_what_a_sku_cost_when(run: Run, moves: list[str]) -> None:
    one, two, three, four = [str(time(each)) for each in moves]
    assert cells(await output_of(run, "timeline", "retail", "a")) == [
        ["FROM", "UNTIL", "VERSION", "AMOUNT", "CURRENCY"],
        [one, two, "1", "1", "EUR"],
        [two, three, "2", "2", "EUR"],
        [three, four, "1", "1", "EUR"],
        [four, "-", "3", "-", "-"],
    ]
    part = await json_of(run, "timeline", "retail", "a", "--since", moves[1], "--until", moves[2])
    assert [(each["from"], each["until"], each["version"]) for each in part] == [(moves[1], moves[2], 2)]
    empty = await run("timeline", "retail", "a", "--since", "1999-01-01T00:00:00Z", "--until", "2000-01-01T00:00:00Z")
    assert (empty.exit_code, "nothing is known" in empty.output) == (0, True)


@pytest.mark.parametrize(("days", "versions"), [(-40, [1]), (40, [])])
async def test_a_timeline_that_ends_long_ago_begins_thirty_days_before_its_end(
    run: Run, store: Store, days: int, versions: list[int]
) -> None:
    await create(store)
    await published(store, [row("a", "1")])
    end = await store.now() - datetime.timedelta(days=300)
    at = end + datetime.timedelta(days=days)
    await store.db["events"].update_many({"list": "retail", "toVersion": 1}, {"$set": {"at": at}})
    shown = await json_of(run, "timeline", "retail", "a", "--until", end.isoformat())
    since = (end - datetime.timedelta(days=30)).isoformat()
    assert [(each["from"], each["version"]) for each in shown] == [(since, version) for version in versions]


async def test_an_unknown_sku_is_an_error(run: Run, moves: list[str]) -> None:
    missing = await run("timeline", "retail", "nothing")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "Error: No version up to 3 that is kept has a price of 'nothing'.\n",
    )


async def test_a_list_is_shown_as_of_an_instant(run: Run, moves: list[str]) -> None:
    shown = await output_of(run, "show", "retail", "--as-of", moves[1])
    assert ["version", "2"] in cells(shown)
    assert [(await json_of(run, "show", "retail", "--as-of", each))["version"] for each in moves] == [1, 2, 1, 3]
    early = await run("show", "retail", "--as-of", "1999-01-01T00:00:00Z")
    assert early.exit_code == 1
    assert "no version of 'retail' that was current at 1999-01-01T00:00:00Z" in early.stderr


async def test_an_instant_needs_an_offset(run: Run, moves: list[str]) -> None:
    for text, problem in (("2026-11-29T10:00:00", "has no offset from UTC"), ("yesterday", "is not an instant")):
        refused = await run("show", "retail", "--as-of", text)
        assert (refused.exit_code, problem in refused.stderr) == (2, True)


ABSURD = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00-14:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31",
    "99999d",
    "999999999d",
]


async def test_an_absurd_instant_never_ends_in_a_traceback(run: Run, store: Store, moves: list[str]) -> None:
    batch = await submit(store, [row("b", "6")], publish=PublishPolicy.ON_APPROVAL)
    for command in (
        ["show", "retail", "--as-of"],
        ["timeline", "retail", "a", "--since"],
        ["timeline", "retail", "a", "--until"],
        ["keep", "retail", "1", "--reason", "x", "--yes", "--until"],
        ["reschedule", batch.id, "--reason", "x", "--yes", "--at"],
        ["preview", batch.id, "--reason", "x", "--for"],
    ):
        for text in ABSURD:
            result = await run(*command, text)
            context = (command, text, result.output)
            assert result.exception is None or isinstance(result.exception, SystemExit), context
            assert result.exit_code == 0 or "Error: " in result.stderr, context
            assert "internal error" not in result.output, context


async def test_thirty_days_before_the_end_of_a_timeline_there_must_be_an_instant(run: Run) -> None:
    refused = await run("timeline", "retail", "a", "--until", "0001-01-20T00:00:00Z")
    assert (refused.exit_code, "before the year 1: give --since" in refused.stderr) == (2, True)


async def test_exposures_show_when_a_version_was_current(run: Run, moves: list[str]) -> None:
    one, two, three, four = [str(time(each)) for each in moves]
    assert cells(await output_of(run, "exposures", "retail", "1")) == [
        ["FROM", "UNTIL", "KIND", "BY", "REASON"],
        [three, four, "ROLLED_BACK", "ops", "wrong"],
        [one, two, "PUBLISHED", "integrator", "-"],
    ]
    assert [each["until"] for each in await json_of(run, "exposures", "retail", "3")] == [None]
    never = await run("exposures", "retail", "9")
    assert (never.exit_code, "has never been current, or does not exist" in never.output) == (0, True)
