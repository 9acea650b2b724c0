"""The report of an import: the result, the findings, the invalid items as a table; and the exit code."""

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client.client import Json
from cli.exit_codes import FAILURE, HELD, SUCCESS
from cli.imports.batch_api import DRY_RUN, BatchRequest, Outcome
from cli.imports.held import next_commands
from cli.output import REDIRECTED_WIDTH

MAX_SHOWN_ERRORS = 100
"""Errors of invalid items that are printed; `--errors-to` writes all."""

_COLUMNS = ("index", "line", "sku", "field", "code", "message")


def exit_code(request: BatchRequest, outcome: Outcome) -> int:
    """Return the exit code of the command."""
    if outcome.state == "HELD":
        return HELD
    if outcome.state == "PUBLISHED":
        return SUCCESS
    if not _is_passed_dry_run(request, outcome):
        return FAILURE
    severities = {finding["severity"] for finding in outcome.batch["findings"]}
    return FAILURE if "REJECT" in severities else HELD if "HOLD" in severities else SUCCESS


def report(request: BatchRequest, outcome: Outcome, *, to_stderr: bool = False) -> None:
    """Print the result of a batch to standard output, or to standard error."""
    is_terminal = (sys.stderr if to_stderr else sys.stdout).isatty()
    console = Console(width=None if is_terminal else REDIRECTED_WIDTH, stderr=to_stderr)
    batch = outcome.batch
    lines = [_headline(request, outcome), *_summary(batch)]
    lines += [_finding(finding) for finding in batch["findings"]]
    lines += [f"  {error['code']}: {error['message']}" for error in outcome.user_errors]
    if batch["errors"]:
        lines.append("")
    _print(console, lines)
    if batch["errors"]:
        shown = batch["errors"][:MAX_SHOWN_ERRORS]
        _print_table(console, shown)
        more = batch["errorCount"] - len(shown)
        if more > 0 and batch["errors"][0]["index"] is not None:  # errors of the header are complete
            _print(console, [f"  and {more:,} more invalid items"])
    if outcome.state == "HELD":
        _print(console, ["", *next_commands(batch)])


def _is_passed_dry_run(request: BatchRequest, outcome: Outcome) -> bool:
    """Whether this was a dry run of a valid batch."""
    return request.publish == DRY_RUN and outcome.state == "ABORTED" and not outcome.user_errors


def _headline(request: BatchRequest, outcome: Outcome) -> str:
    batch = outcome.batch
    size = "" if outcome.size is None else f", {outcome.size:,} prices"
    if outcome.state == "PUBLISHED":
        served = batch["served"]
        by = f"; {served['by']} of {served['of']} servers serve it" if served else ""
        return f"Published {request.price_list}: version {batch['version']}{size}{by}."
    if outcome.state == "HELD":
        version = f"version {batch['version']} of {request.price_list}{size}"
        return f"Batch {batch['id']} is held: {version}, waits for approval."
    if _is_passed_dry_run(request, outcome):
        return f"Checked {request.price_list}, a dry run, nothing is published: the batch {_verdict(request, outcome)}."
    return f"Batch {batch['id']} of {request.price_list} is {outcome.state}: nothing is published."


def _verdict(request: BatchRequest, outcome: Outcome) -> str:
    """Return what would become of the batch of a dry run."""
    return {SUCCESS: "would be published", HELD: "would be held", FAILURE: "would be rejected"}[
        exit_code(request, outcome)
    ]


def _summary(batch: Json) -> list[str]:
    summary = batch["summary"]
    return ["  " + ", ".join(f"{count:,} {kind}" for kind, count in summary.items())] if summary else []


def _finding(finding: Json) -> str:
    figures = [f"{name} {finding[name]}" for name in ("observed", "limit") if finding[name] is not None]
    suffix = f" ({', '.join(figures)})" if figures else ""
    return f"  {finding['severity']} {finding['gate']}: {finding['message']}{suffix}"


def _print_table(console: Console, errors: Sequence[Json]) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in _COLUMNS:
        is_number = name in {"index", "line"}
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for error in errors:
        table.add_row(*(Text(_printable(error[name])) for name in _COLUMNS))
    console.print(table)


def _print(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(_printable(line), markup=False, highlight=False, emoji=False, soft_wrap=True)


def _printable(value: str | int | None) -> str:
    """Escape control characters, which a terminal would interpret."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
