"""`pricebook check`: the verdict, a table for people, JSON for programs, and the exit code."""

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


async def test_a_sound_database_has_no_findings(store: Store, mongodb_uri: str, price_list: str) -> None:
    result = await run(store, mongodb_uri)
    assert result.exit_code == 0, result.output
    assert result.stdout == "Everything is sound. Checked 1 of 1 lists, 2 of 2 versions, 5 rows.\n"


async def test_findings_are_a_table_with_remedies(store: Store, mongodb_uri: str, price_list: str) -> None:
    await break_pointer(store, price_list)
    result = await run(store, mongodb_uri, price_list)
    assert result.exit_code == 1
    output = " ".join(result.stdout.split())
    assert f"POINTER_TO_MISSING {price_list} 9 The current version has no manifest." in output
    assert "pricebook rollback" in output
    assert "1 finding. Checked 1 of 1 lists" in output


async def test_with_json_findings_are_json(store: Store, mongodb_uri: str, price_list: str) -> None:
    await break_pointer(store, price_list)
    result = await run(store, mongodb_uri, "--json")
    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    [finding] = verdict.pop("findings")
    assert verdict == {"sound": False, "lists": 1, "versions": 2, "rows": 5, "findingCount": 1}
    assert finding.pop("advice").startswith("Roll back to a sound version")
    assert finding == {
        "code": "POINTER_TO_MISSING",
        "priceList": price_list,
        "version": 9,
        "layer": None,
        "message": "The current version has no manifest.",
    }


async def test_findings_over_the_limit_are_only_counted(
    store: Store, mongodb_uri: str, price_list: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.db["snapshots"].update_many({}, {"$set": {"size": 77}})
    monkeypatch.setattr(module, "MAX_FINDINGS_SHOWN", 1)
    result = await run(store, mongodb_uri)
    assert "2 findings. The first 1 are shown." in result.stdout


async def test_a_missing_list_is_an_error_not_a_finding(store: Store, mongodb_uri: str, price_list: str) -> None:
    result = await run(store, mongodb_uri, "nowhere")
    assert result.exit_code == 1
    assert "There is no price list 'nowhere'" in result.stderr


async def test_an_empty_database_is_not_reported_as_sound(mongodb_uri: str, store: Store) -> None:
    name = f"test_{secrets.token_hex(4)}"
    environment = {"PRICEBOOK_MONGODB_URI": mongodb_uri, "PRICEBOOK_MONGODB_DATABASE": name}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["check"], env=environment)
    assert result.exit_code == 1
    assert "PRICEBOOK_MONGODB_DATABASE" in result.stderr
    assert name not in await store.client.list_database_names(), "a check creates nothing"


def test_a_check_requires_a_mongodb() -> None:
    result = CliRunner().invoke(main, ["check"], env={"PRICEBOOK_MONGODB_URI": ""})
    assert result.exit_code == 2
    assert "PRICEBOOK_MONGODB_URI" in result.stderr
