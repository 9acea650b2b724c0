"""The confirmation of commands that change something: what will change is shown first, and --yes skips the question."""

import sys
from collections.abc import Callable, Iterable

import click

from cli import exit_codes
from cli.client.client import Json
from cli.client.errors import ApiError
from cli.ops.diff import summary_line
from cli.output import text

EXITS = {exit_codes.FAILURE: "refused, declined, not found, or no response; standard error gives the reason"}
"""The exit codes of commands that ask."""

reason_option = click.option("--reason", required=True, metavar="TEXT", help="The reason, recorded in the event.")
yes_option = click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Do not count the changes or ask for confirmation; required if standard input is not a terminal.",
)


def confirm(
    question: str,
    fields: Iterable[tuple[str, object]],
    count: Callable[[], Json | None] = lambda: None,
    *,
    yes: bool,
    look: str,
) -> None:
    """Show `fields` on standard error and, unless `yes`, the changes that `count` returns, and ask.

    Counting may take minutes for large lists. Raises `ApiError` if the user declines, `UsageError` if standard input is
    not a terminal; `look` is the command that shows the changes instead.
    """
    if not yes and not is_interactive():
        raise click.UsageError(f"Standard input is not a terminal: check with `{look}`, then use --yes.")
    show(fields)
    if yes:
        return
    if summary := count():
        show([("Changes", summary_line(summary))])
    if not click.confirm(question, err=True):
        raise ApiError("Declined: nothing was changed.")


def is_interactive() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin.isatty()


def show(fields: Iterable[tuple[str, object]]) -> None:
    """Show names and values on standard error, without those that are None."""
    for name, value in fields:
        if value is not None:
            click.echo(f"{name:<9}{text(value)}", err=True)
