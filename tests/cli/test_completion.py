"""The shell completes the names of lists and releases, and stays silent if the endpoint does not respond."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import BashComplete, ZshComplete

from cli import COMMANDS, completion, main
from cli.client import names
from cli.completion import complete_list_names
from storage import Store
from tests.cli.ops.commands import server
from tests.graph.api import open_settings
from tests.storage.factories import create

CREATED_NAMES = {"create"}
"""Commands whose LIST does not exist yet."""


def complete(line: str) -> list[str]:
    """Return the completions of the last word of a command line, as a shell gets them."""
    *words, incomplete = line.split(" ")[1:]
    found = BashComplete(main, {}, "pricebook", "_PRICEBOOK_COMPLETE").get_completions(words, incomplete)
    return [item.value for item in found]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell waits as long as the endpoint takes."""
    monkeypatch.setattr(completion, "TIMEOUT_SECONDS", 60.0)
    monkeypatch.setattr(names, "REQUEST_TIMEOUT_SECONDS", 60.0)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """An endpoint that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"


async def test_names_that_begin_with_what_was_typed_are_completed(
    store: Store, mongodb_uri: str, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("retail", "retail-de", "wholesale"):
        await create(store, name)
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)
    async with server(settings) as (endpoint, _):
        monkeypatch.setenv("PRICEBOOK_ENDPOINT", endpoint)
        without_path = endpoint.removesuffix("/graphql").removeprefix("http://")
        for line, expected in {
            "pricebook show ": ["retail", "retail-de", "wholesale"],
            "pricebook rollback re": ["retail", "retail-de"],
            "pricebook import prices.csv --list who": ["wholesale"],
            f"pricebook show --endpoint {without_path} who": ["wholesale"],
            "pricebook check who": ["wholesale"],
            "pricebook show --direct re": [],
            "pricebook rollback retail ": [],
        }.items():
            assert await asyncio.to_thread(complete, line) == expected, line


async def test_releases_are_completed_by_name_or_by_id_if_the_name_is_not_one_word_or_not_of_one_alone(
    store: Store, mongodb_uri: str, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ("spring", "twin", "twin", "black friday")
    created = [await store.releases.create(label, str(key), "ops") for key, label in enumerate(labels)]
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database=store.db.name)
    async with server(settings) as (endpoint, _):
        monkeypatch.setenv("PRICEBOOK_ENDPOINT", endpoint)
        ids = [each.id for each, _ in reversed(created[1:])]
        for line in ("pricebook release show ", "pricebook import prices.csv --release "):
            assert await asyncio.to_thread(complete, line) == [*ids, "spring"], line
        assert await asyncio.to_thread(complete, "pricebook release publish sp") == ["spring"]


def test_a_description_stays_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    described = [("de", "Retail prices\nof Germany \x1b[31m"), ("eu", None)]
    monkeypatch.setattr(names, "list_names", lambda *_: iter(described))
    lines = ZshComplete(main, {}, "pricebook", "_PRICEBOOK_COMPLETE")
    printed = [lines.format_completion(item) for item in lines.get_completions(["show"], "")]
    assert printed == ["plain\nde\nRetail prices of Germany \\x1b[31m", "plain\neu\n_"]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1/graphql", "ftp://prices.example", "http://[::1"])
def test_an_endpoint_that_does_not_respond_gives_no_names_and_no_error(
    endpoint: str, patient: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRICEBOOK_ENDPOINT", endpoint)
    assert complete("pricebook show ") == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_keeps_the_shell_waiting_only_for_the_timeout(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(names, "REQUEST_TIMEOUT_SECONDS", 60.0)
    command = main.get_command(click.Context(main), "show")
    assert command is not None
    with click.Context(command) as context:
        context.params["endpoint"] = silent_server
        assert complete_list_names(context, command.params[0], "") == []
    assert completion.THREAD_NAME in {thread.name for thread in threading.enumerate()}, "the request still waits"


def test_every_command_that_takes_a_list_completes_its_name() -> None:
    missing = {name for name in COMMANDS for param in params(name) if param._custom_shell_complete is None}
    assert missing == CREATED_NAMES


def params(name: str) -> Iterator[click.Parameter]:
    """The parameters of a command that name a price list."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return (param for param in command.params if param.name == "price_list")
