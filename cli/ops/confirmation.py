"""The confirmation of commands that change something: what will change is shown first, and --yes skips the question."""

import sys
from collections.abc import Callable, Iterable, Sequence

import click

from cli import exit_codes
from cli.client import Json
from cli.client.errors import ApiError
from cli.ops.diff import summary_line
from cli.output import print_fields

EXIT_CODES = {exit_codes.FAILURE: "refused, declined, not found, or no response; standard error gives the reason"}
"""The exit codes of commands that ask."""

reason_option = click.option("--reason", required=True, metavar="TEXT", help="The reason, recorded in the event.")
yes_option = click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Do not ask for confirmation, nor count the changes to show; required if the command would ask and standard "
    "input is not a terminal.",
)


def confirm(
    question: str,
    fields: Sequence[tuple[str, object]],
    count_changes: Callable[[], Iterable[tuple[str, object]]] = tuple,
    *,
    yes: bool,
    preview_command: str,
) -> None:
    """Show `fields` on standard error and, unless `yes`, the fields that `count_changes` returns, and ask.

    Counting may take minutes for large lists. Raises `ApiError` if the user declines, `UsageError` if standard input is
    not a terminal; `preview_command` shows the changes instead.
    """
    if not yes and not is_interactive():
        raise click.UsageError(f"Standard input is not a terminal: check with `{preview_command}`, then use --yes.")
    print_fields(fields, err=True)
    if yes:
        return
    print_fields(count_changes(), err=True)
    if not click.confirm(question, err=True):
        raise ApiError("Declined: nothing was changed.")


def changes_field(summary: Json | None) -> list[tuple[str, object]]:
    """Return the field that shows a summary of changes; none without one."""
    return [("Changes", summary_line(summary))] if summary else []


def is_interactive() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin.isatty()
