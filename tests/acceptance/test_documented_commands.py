"""The commands in README, the runbook and the other pages run as they are printed there, from top to bottom."""

import ast
import asyncio
import datetime
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml
from click.testing import CliRunner

from cli import main
from storage import Batch, BatchState, Gates, PublishPolicy, Store
from tests.cli.ops.commands import server
from tests.documented_commands import PAGES, ROOT, Documented, commands_of
from tests.graph.api import open_settings
from tests.storage.factories import order, row, source, submit

PLACEHOLDERS = {
    "LIST": "shop",
    "NAME": "shop",
    "VERSION": "41",
    "FROM": "41",
    "TO": "42",
    "SCOPE": "prices:read",
    "SKU": "TEA-100",
    "FILE": "prices.ndjson",
    "COMMAND": "lists",
    "N": "50",
    "...": "a reason",
}
"""The values of words that stand for others. `ID`, ids of keys, and the `NAME` of a release are what was prepared."""

SCHEDULING = {"reschedule", "import", "release"}
"""The commands whose instant must be in the future."""

README = "README.md"
"""Its blocks run in `test_readme.py`: they name the versions that its examples have published."""

NOT_RUN = ("serve", "dev", "demo", "console", "--follow", "-f")
"""Commands and options that run until Ctrl-C, or for long: their arguments are parsed. Other tests run them."""

KEY_ID = re.compile(r"[0-9a-f]{12}")

ROWS = '{"sku":"TEA-100","amount":"12.50","currency":"EUR"}\n'
FILES = {".ndjson": ROWS, ".csv": "sku,amount,currency\nTEA-100,12.50,EUR\n", ".txt": "CUP-1\n"}
"""Contents of the files that the commands read, by suffix."""


def documented(*programs: str) -> Iterator[Documented]:
    """Yield all documented commands of some programs."""
    for page in PAGES:
        for each in commands_of(page, (ROOT / page).read_text(encoding="utf-8")):
            if each.arguments[0] in programs and len(each.arguments) > 1:
                yield each


OF_ANOTHER_LIST = {"create", "delete"}
"""Commands that need a list of their own."""

COMMANDS_BY_PAGE = {
    page: [each for each in documented("pricebook") if each.page == page and not (page == README and each.in_block)]
    for page in dict.fromkeys(each.page for each in documented("pricebook"))
}


class Shop(NamedTuple):
    """A price list, and the batch that published its newest version."""

    store: Store
    batch: Batch

    async def prepare(self, command: str, *arguments: str) -> str:
        """Prepare what a command is for, and return the id or name to insert."""
        if command == "release" or (command == "import" and "--release" in arguments):
            return await self._release(arguments) if {"ID", "NAME"} & {*arguments} else ""
        return await self._list(command)

    async def _list(self, command: str) -> str:
        """Bring the list into the state that a command is for; return the id or name to insert."""
        if command == "unpin":
            await self._hold_by_pin()
        elif command in {"rollback", "pin", "restore", "import", "approve", "reject", "reschedule", "preview"}:
            await self._make_current()
        if command == "restore":
            retired = {"state": "RETIRED", "retiredAt": datetime.datetime.now(datetime.UTC)}
            await self.store.db["snapshots"].update_one({"_id.version": 41}, {"$set": retired})
        elif command in {"approve", "reject", "reschedule", "preview"}:
            for_approval = order("shop", publish=PublishPolicy.ON_APPROVAL)
            held = await self.store.submitter.submit(for_approval, await source([row("TEA-100")]))
            if command == "preview":  # for --revoke
                tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
                await self.store.previews.grant(held.id, tomorrow, by="ops", reason="a reason")
            return held.id
        elif command == "keys":
            return (await self.store.api_keys.create(secrets.token_hex(4), ["prices:read"], "ops"))[0].id
        elif command in OF_ANOTHER_LIST:
            name = f"another-{secrets.token_hex(4)}"
            if command == "delete":
                await self.store.price_list_editor.create(name, None, Gates(), "ops")
            return name
        elif command == "layer":
            assert self.batch.layer is not None
            return self.batch.layer.id
        return self.batch.id

    async def _release(self, arguments: Sequence[str]) -> str:
        """Return the id of a release with a batch of the list, which is published if it is to be rolled back."""
        await self._make_current()
        release = await self.store.release_editor.create("sale", secrets.token_hex(8), by="ops")
        await submit(self.store, [row("TEA-100")], "shop", release=release.id)
        if arguments[0] == "rollback":
            await self.store.release_publisher.publish(release.id, by="ops")
        return release.id

    async def _hold_by_pin(self) -> None:
        price_list = await self.store.price_lists.get("shop")
        if not price_list.pin:
            await self.store.pointer_moves.pin("shop", 42, by="ops", reason="audit")
        await submit(self.store, [row("TEA-100", "13.00")], "shop")

    async def _make_current(self) -> None:
        price_list = await self.store.price_lists.get("shop")
        if price_list.pin:
            await self.store.pointer_moves.unpin("shop", by="ops", reason="audited")
        if price_list.current_version != 42:
            await self.store.pointer_moves.rollback("shop", 42, by="ops", reason="as before", pin=False)


@pytest.fixture
async def shop(store: Store) -> Shop:
    """A list whose version 42 is current: since version 41, one price has changed, and one was removed."""
    await store.price_list_editor.create("shop", None, Gates(), "ops")
    await store.db["price_lists"].update_one({"_id": "shop"}, {"$set": {"lastVersion": 40}})
    await submit(store, [row("TEA-100", "12.50"), row("CUP-1", "7.00")], "shop")
    batch = await submit(store, [row("TEA-100", "11.90")], "shop")
    assert (batch.state, batch.version) == (BatchState.PUBLISHED, 42)
    return Shop(store, batch)


@pytest.fixture
async def environ(shop: Shop, mongodb_uri: str) -> AsyncIterator[dict[str, str]]:
    """The environment of the command line, with a server."""
    name = shop.store.db.name
    async with server(open_settings(mongodb_uri=mongodb_uri, mongodb_database=name)) as (endpoint, _):
        yield {
            "PRICEBOOK_ENDPOINT": endpoint,
            "PRICEBOOK_MONGODB_URI": mongodb_uri,
            "PRICEBOOK_MONGODB_DATABASE": name,
        }


@pytest.mark.parametrize("page", sorted(COMMANDS_BY_PAGE))
async def test_the_commands_of_a_page_succeed(
    shop: Shop, environ: dict[str, str], page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS_BY_PAGE[page]:
        arguments = substituted(command, await shop.prepare(*command.arguments[1:]))
        write_files(arguments)
        if {*arguments}.isdisjoint({*NOT_RUN, "--help"}):
            await run(command, arguments, environ)
        else:
            parse(arguments)


async def run(command: Documented, arguments: list[str], environ: dict[str, str]) -> None:
    """Run a command, unless a sentence mentions only its name. Its exit code must be 0."""
    if not command.in_block:
        arguments = arguments + ["--reason", "a reason"] * (parse(arguments) == "reason")
        if parse(arguments):
            return
    arguments = arguments + confirmation(arguments)
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments, input=ROWS, env=environ)
    assert result.exit_code == 0, f"{command} ends with {result.exit_code}: {result.output}{result.exception or ''}"
    if command.piped_to and shutil.which(command.piped_to[0]):
        await asyncio.to_thread(subprocess.run, command.piped_to, input=result.stdout, text=True, check=True)


def substituted(command: Documented, id_: str) -> list[str]:
    """Return the arguments with values in place of placeholders."""
    name = command.arguments[1]
    now = datetime.datetime.now(datetime.UTC)  # the lists have versions by now
    instant = now + datetime.timedelta(days=30) if name in SCHEDULING else now
    values = {**PLACEHOLDERS, "ID": id_, "INSTANT": instant.isoformat()}
    if name in OF_ANOTHER_LIST:
        values["LIST"] = id_
    if name == "release":
        values["NAME"] = id_ or values["NAME"]
    return [id_ if KEY_ID.fullmatch(word) else values.get(word, word) for word in command.arguments[1:]]


def write_files(arguments: Sequence[str]) -> None:
    """Write the files that a command reads, unless an earlier command wrote them."""
    for file in map(Path, arguments):
        if file.suffix in FILES and not file.exists():
            file.write_text(FILES[file.suffix])


def parse(arguments: Sequence[str]) -> str | None:
    """Parse the arguments; return the name of the first required one that is missing. Fail if they are wrong."""
    try:
        context(arguments)
    except click.MissingParameter as missing:
        return missing.param.name if missing.param else None
    except click.exceptions.NoArgsIsHelpError:  # a group
        return "command"
    except click.exceptions.Exit:  # by --help
        return None
    return None


def confirmation(arguments: Sequence[str]) -> list[str]:
    """Return the options that confirm what a command asks for: there is no terminal here."""
    try:
        parameters = context(arguments).params
    except click.UsageError:  # the run shows it
        return []
    if "confirm_name" in parameters:
        return ["--confirm-name", parameters["price_list"]]
    return ["--yes"] if parameters.get("yes") is False else []


def context(arguments: Sequence[str]) -> click.Context:
    """Parse the arguments of a command. Raises `click.UsageError`."""
    command: click.Command = main
    rest = [*arguments]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            raise click.UsageError(f"There is no command {rest[0]}.")
        command, rest = found, rest[1:]
    return command.make_context(command.name, rest)


def hints() -> Iterator[Documented]:
    """Yield the commands that help, messages and alerts name."""
    packages = ("cli", "console", "graph", "storage")
    for file in sorted(file for package in packages for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (each._replace(line=node.lineno) for each in commands_of(place(file), node.value))
    for file in sorted((ROOT / "helm/pricebook").rglob("*.yaml")):
        yield from commands_of(place(file), re.sub("{{.*?}}", "shop", file.read_text(encoding="utf-8")))


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_help_messages_and_alerts_name_commands_and_options_that_exist() -> None:
    named = [each for each in hints() if each.arguments[0] == "pricebook" and len(each.arguments) > 1]
    assert {each.page.partition("/")[0] for each in named} == {"cli", "console", "graph", "helm", "storage"}
    for each in named:
        try:
            parse(substituted(each, "1"))
        except click.UsageError as error:
            pytest.fail(f"{each}: {error.message}")


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"^(\w+):", makefile, re.MULTILINE)}
    named = {each.arguments[1] for each in documented("make")}
    assert "run" in named
    assert named - targets == set()


def test_modules_of_python_exist() -> None:
    named = [each.arguments[2] for each in documented("python") if each.arguments[1] == "-m"]
    assert "bench" in named
    assert [name for name in named if find_spec(name) is None] == []


def test_values_of_helm_exist() -> None:
    values = yaml.safe_load((ROOT / "helm/pricebook/values.yaml").read_text(encoding="utf-8"))
    named = {
        setting.partition("=")[0]
        for each in documented("helm")
        for option, settings in zip(each.arguments, each.arguments[1:], strict=False)
        if option == "--set"
        for setting in settings.split(",")
    }
    assert "image.tag" in named
    assert [name for name in named if not has(values, name.split("."))] == []


def has(values: Any, path: Sequence[str]) -> bool:
    """Whether nested dictionaries have a path."""
    return not path or (isinstance(values, dict) and path[0] in values and has(values[path[0]], path[1:]))
