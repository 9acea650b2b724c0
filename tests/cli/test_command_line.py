"""The group of all commands: each has its line in the help, and is imported only when it runs."""

import subprocess
import sys

import click
import pytest

from cli import COMMANDS, main

HEAVY = ("graph", "storage", "loaders", "strawberry", "pymongo", "httpx", "rich")
"""Packages that take a tenth of a second to import, or most of a second."""

CLIENTS = [name for name, command in COMMANDS.items() if command.import_path.startswith(("cli.ops.", "cli.imports."))]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_the_first_sentence_of_each_command(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert (command.name, command.get_short_help_str(200)) == (name, COMMANDS[name].help)


def test_an_unknown_command_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="No such command 'nope'"):
        main.resolve_command(click.Context(main), ["nope"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["export", "--help"],
        ["completion", "bash"],
        *([name, "--help"] for name in CLIENTS if name != "completion"),
    ],
)
def test_commands_that_call_a_server_import_no_server(arguments: list[str]) -> None:
    code = f"import sys; from cli import main; main({arguments!r}, standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*HEAVY} & {*done.stdout.split()} == set()
