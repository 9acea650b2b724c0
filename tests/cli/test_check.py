"""`pricebook check`: a verdict, a table for people, JSON for programs, and an exit code that tells."""

import asyncio
import json
import secrets

import pytest
from click.testing import CliRunner, Result

from cli import check as module
from cli import main
from storage import Store
from tests.storage.factories import create, published, rows


@pytest.fixture
async def price_list(store: Store) -> str:
    """A list with two versions."""
    name = f"list-{secrets.token_hex(4)}"
    await create(store, name)
    for count in (3, 2):
        await published(store, rows(count), name)
    return name


async def run(store: Store, uri: str, *arguments: str) -> Result:
    environment = {"PRICEBOOK_MONGODB_URI": uri, "PRICEBOOK_MONGODB_DATABASE": store.db.name}
    return await asyncio.to_thread(CliRunner().invoke, main, ["check", *arguments], env=environment)


async def break_pointer(store: Store, price_list: str) -> None:
    await store.db["price_lists"].update_one({"_id": price_list}, {"$set": {"version": 9}})


async def test_a_sound_database_is_said_to_be(store: Store, mongodb_uri: str, price_list: str) -> None:
    result = await run(store, mongodb_uri)
    assert result.exit_code == 0, result.output
    assert result.stdout == "Everything is sound. Checked 1 of 1 lists, 2 of 2 versions, 5 documents.\n"


async def test_what_is_wrong_is_a_table_with_what_to_do(store: Store, mongodb_uri: str, price_list: str) -> None:
    await break_pointer(store, price_list)
    result = await run(store, mongodb_uri, price_list)
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert f"POINTER_TO_MISSING {price_list} 9 The current version has no manifest." in said
    assert "pricebook rollback" in said
    assert "1 finding. Checked 1 of 1 lists" in said


async def test_programs_are_told_in_json(store: Store, mongodb_uri: str, price_list: str) -> None:
    await break_pointer(store, price_list)
    result = await run(store, mongodb_uri, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    [finding] = told.pop("findings")
    assert told == {"sound": False, "lists": 1, "versions": 2, "documents": 5, "findingCount": 1}
    assert finding.pop("advice").startswith("Roll back to a sound version")
    assert finding == {
        "code": "POINTER_TO_MISSING",
        "priceList": price_list,
        "version": 9,
        "layer": None,
        "message": "The current version has no manifest.",
    }


async def test_more_findings_than_anyone_reads_are_counted(
    store: Store, mongodb_uri: str, price_list: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.db["snapshots"].update_many({}, {"$set": {"size": 77}})
    monkeypatch.setattr(module, "MAX_FINDINGS_SHOWN", 1)
    result = await run(store, mongodb_uri)
    assert "2 findings. The first 1 are shown." in result.stdout


async def test_a_list_that_is_not_there_is_no_finding(store: Store, mongodb_uri: str, price_list: str) -> None:
    result = await run(store, mongodb_uri, "nowhere")
    assert result.exit_code == 1
    assert "There is no price list 'nowhere'" in result.stderr


async def test_a_database_that_is_not_pricebooks_is_not_called_sound(mongodb_uri: str, store: Store) -> None:
    name = f"test_{secrets.token_hex(4)}"
    environment = {"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": name}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["check"], env=environment)
    assert result.exit_code == 1
    assert "PRICEBOOK_MONGODB_DATABASE" in result.stderr
    assert name not in await store.client.list_database_names(), "a check creates nothing"


def test_without_mongodb_nothing_is_checked() -> None:
    result = CliRunner().invoke(main, ["check"], env={"PRICEBOOK_MONGODB_URI": ""})
    assert result.exit_code == 2
    assert "PRICEBOOK_MONGODB_URI" in result.stderr
