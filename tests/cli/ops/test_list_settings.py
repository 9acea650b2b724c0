"""Price lists are created, set up and deleted on the command line."""

import asyncio
import json
from decimal import Decimal

import pytest
from msgspec.structs import replace

from cli import exit_codes
from cli.client import Json
from cli.ops import deletion, list_settings
from cli.ops.connection import require_list
from storage import Gates, Retention, Store
from tests.cli.ops.commands import Run, Stub, invoke, invoke_direct
from tests.storage.factories import create, held, row, versions


async def gates_of(store: Store) -> Gates:
    return (await store.price_lists.get("retail")).gates


async def test_a_list_is_created(run: Run, store: Store) -> None:
    done = await run("create", "retail", "--description", "In the shops")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Created the price list retail.\n")
    assert (await store.price_lists.get("retail")).description == "In the shops"
    again = await run("create", "retail")
    assert (again.exit_code, again.stdout) == (exit_codes.FAILURE, "")
    assert "PRICE_LIST_EXISTS" in again.stderr


async def test_gates_are_shown_and_those_that_are_named_are_changed(run: Run, store: Store) -> None:
    await create(store)
    assert (await run("gates", "retail")).stdout.split() == [
        *("max-shrink-percent", "off", "max-changed-percent", "off", "max-price-change-percent", "off"),
        *("allowed-currency", "off", "min-size", "off"),
    ]
    options = ("--max-shrink-percent", "12.5", "--allowed-currency", "EUR", "--allowed-currency", "USD")
    changed = await run("gates", "retail", *options, "--min-size", "0")
    assert changed.exit_code == 0, changed.output
    assert await gates_of(store) == Gates(
        max_shrink_percent=Decimal("12.5"), allowed_currencies=("EUR", "USD"), min_size=0
    )
    await run("gates", "retail", "--max-changed-percent", "30", "--none", "allowed-currency")
    assert await gates_of(store) == Gates(Decimal("12.5"), Decimal(30), min_size=0)
    shown = json.loads((await run("gates", "retail", "--json")).stdout)
    assert (shown["maxShrinkPercent"], shown["allowedCurrencies"], shown["minSize"]) == ("12.5", None, 0)


async def test_a_percentage_is_exact(run: Run, store: Store) -> None:
    await create(store)
    options = ("--max-shrink-percent", "1000000", "--max-changed-percent", "12.3456789", "--max-price-change-percent")
    done = await run("gates", "retail", *options, "1e2")
    assert done.exit_code == 0, done.output
    assert await gates_of(store) == Gates(Decimal(1_000_000), Decimal("12.3456789"), Decimal(100))


@pytest.mark.parametrize("percent", ["nan", "sNaN", "inf", "-1", "12,5", "1e999999999", ""])
async def test_what_is_no_percentage_is_refused_before_anything_is_sent(
    percent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub(monkeypatch, {})
    done = await asyncio.to_thread(invoke, "gates", "retail", "--max-shrink-percent", percent)
    assert (done.exit_code, stub.operations) == (exit_codes.USAGE_ERROR, [])
    assert "'--max-shrink-percent'" in done.stderr


async def test_gates_that_were_changed_meanwhile_are_a_conflict(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(store)
    loop = asyncio.get_running_loop()

    def change_meanwhile(data: Json, name: str) -> Json:
        others = store.price_list_editor.update("retail", "ops", lambda known: replace(known, gates=Gates(min_size=3)))
        asyncio.run_coroutine_threadsafe(others, loop).result(30)
        return require_list(data, name)

    monkeypatch.setattr(list_settings, "require_list", change_meanwhile)
    done = await run("gates", "retail", "--max-shrink-percent", "5")
    assert (done.exit_code, "CONFLICT" in done.stderr, "Nothing was changed" in done.stderr) == (1, True, True)
    assert await gates_of(store) == Gates(min_size=3)


async def test_a_gate_is_either_set_or_disabled(run: Run, store: Store) -> None:
    await create(store)
    done = await run("gates", "retail", "--min-size", "5", "--none", "min-size")
    assert (done.exit_code, "min-size: either set the gate" in done.stderr) == (exit_codes.USAGE_ERROR, True)
    assert await gates_of(store) == Gates()


async def test_retention_is_shown_and_changed(run: Run, store: Store) -> None:
    await create(store)
    assert (await run("retention", "retail")).stdout.split() == ["versions", "30", "days", "30", "thin", "no"]
    changed = await run("retention", "retail", "--days", "90", "--thin")
    assert changed.stdout.startswith("Changed the retention of retail.\n")
    assert (await store.price_lists.get("retail")).retention == Retention(30, 90, thin=True)
    await run("retention", "retail", "--no-thin", "--versions", "5")
    assert (await store.price_lists.get("retail")).retention == Retention(5, 90)


@pytest.mark.parametrize("command", ["gates", "retention"])
async def test_settings_of_a_list_that_does_not_exist_are_not_found(run: Run, command: str) -> None:
    done = await run(command, "nope")
    assert done.exit_code == exit_codes.FAILURE
    assert "There is no price list 'nope'" in done.stderr


# ---------------------------------------------------------------- delete


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is a terminal."""
    monkeypatch.setattr(deletion, "is_interactive", lambda: True)


async def test_a_list_is_deleted_once_its_name_is_typed_again(run: Run, store: Store, typing: None) -> None:
    await versions(store, 2)
    await held(store, [row("b")])
    done = await run("delete", "retail", "--reason", "moved", "--force", input="retail\n")
    assert done.exit_code == 0, done.output
    assert done.stdout == "Deleted the price list retail.\n"
    shown = {line[:10].rstrip(): line[10:] for line in done.stderr.splitlines()}
    assert (shown["List"], shown["Versions"], shown["Waiting"]) == ("retail", "3", "1 held batch")
    assert shown["Current"].startswith("version 2, 1 price, published ")
    assert await store.price_lists.find("retail") is None


async def test_another_name_deletes_nothing(run: Run, store: Store, typing: None) -> None:
    await versions(store, 1)
    for options in ({"input": "retial\n"}, {"input": ""}):
        done = await run("delete", "retail", "--reason", "moved", "--force", **options)
        assert done.exit_code != 0
    declined = await run("delete", "retail", "--reason", "moved", "--force", "--confirm-name", "wholesale")
    assert "Declined: 'wholesale' is not 'retail'. Nothing was changed." in declined.stderr
    assert await store.price_lists.find("retail")


async def test_without_a_terminal_the_name_is_an_option(run: Run, store: Store) -> None:
    await versions(store, 1)
    refused = await run("delete", "retail", "--reason", "moved")
    assert (refused.exit_code, "--confirm-name" in refused.stderr) == (exit_codes.USAGE_ERROR, True)
    in_use = await run("delete", "retail", "--reason", "moved", "--confirm-name", "retail")
    assert in_use.exit_code == exit_codes.FAILURE
    assert "PRICE_LIST_IN_USE" in in_use.stderr
    assert "--force deletes it anyway" in in_use.stderr
    assert await store.price_lists.find("retail")
    done = await run("delete", "retail", "--reason", "moved", "--confirm-name", "retail", "--force", "--json")
    assert json.loads(done.stdout) == {"deletedId": "PriceList:retail"}


async def test_a_list_is_deleted_directly_with_all_it_had(store: Store, mongodb_uri: str) -> None:
    await versions(store, 2)
    arguments = ("delete", "retail", "--reason", "moved", "--confirm-name", "retail", "--force")
    done = await invoke_direct(store, mongodb_uri, *arguments)
    assert done.exit_code == 0, done.output
    assert await store.snapshots.version_numbers("retail") == []
    assert await store.batches.count() == 0


async def test_the_events_of_a_deleted_list_are_shown(run: Run, store: Store) -> None:
    await versions(store, 1)
    await store.deleter.delete("retail", by="ops", reason="moved", force=True)
    shown = await run("events", "retail")
    assert shown.exit_code == 0, shown.output
    assert [line.split()[1] for line in shown.stdout.splitlines()[1:]] == ["DELETED", "PUBLISHED", "CREATED"]
    missing = await run("events", "nope")
    assert (missing.exit_code, "There is no price list 'nope'" in missing.stderr) == (exit_codes.FAILURE, True)
