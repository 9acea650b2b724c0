"""What became of an import, for people: the result, the findings, the bad items as a table; and the exit code."""

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client.client import Json
from cli.exit_codes import DONE, HELD, REFUSED
from cli.imports.batch_api import Order, Outcome

_COLUMNS = ("index", "line", "sku", "field", "code", "message")
_WIDE = 200  # characters, where the output is no terminal: a table is folded as late as possible


def exit_code(order: Order, outcome: Outcome) -> int:
    """Return what the command exits with."""
    if outcome.state == "HELD":
        return HELD
    if outcome.state == "PUBLISHED":
        return DONE
    if not _is_checked(order, outcome):
        return REFUSED
    severities = {finding["severity"] for finding in outcome.batch["findings"]}
    return REFUSED if "REJECT" in severities else HELD if "HOLD" in severities else DONE


def report(order: Order, outcome: Outcome) -> None:
    """Tell a person what became of a batch, on standard output."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    batch = outcome.batch
    lines = [_headline(order, outcome), *_summary(batch)]
    lines += [_finding(finding) for finding in batch["findings"]]
    lines += [f"  {error['code']}: {error['message']}" for error in outcome.user_errors]
    if batch["errors"]:
        lines.append("")
    _print(console, lines)
    if batch["errors"]:
        _print_table(console, batch["errors"])
        more = batch["errorCount"] - len(batch["errors"])
        if more > 0 and batch["errors"][0]["index"] is not None:  # the header's errors are all there
            _print(console, [f"  and {more:,} more bad items"])
    if outcome.state == "HELD":
        _print(console, _how_to_approve(batch))


def _is_checked(order: Order, outcome: Outcome) -> bool:
    """Whether it is a dry run that went through."""
    return order.publish == "DRY_RUN" and outcome.state == "ABORTED" and not outcome.user_errors


def _headline(order: Order, outcome: Outcome) -> str:
    batch = outcome.batch
    size = "" if outcome.size is None else f", {outcome.size:,} prices"
    if outcome.state == "PUBLISHED":
        served = batch["served"]
        by = f"; {served['by']} of {served['of']} servers answer with it" if served else ""
        return f"Published {order.price_list}: version {batch['version']}{size}{by}."
    if outcome.state == "HELD":
        return (
            f"Batch {batch['id']} is held: version {batch['version']} of {order.price_list}{size}, waits for approval."
        )
    if _is_checked(order, outcome):
        return f"Checked {order.price_list}: this was a dry run, nothing is published."
    return f"Batch {batch['id']} of {order.price_list} is {outcome.state}: nothing is published."


def _summary(batch: Json) -> list[str]:
    summary = batch["summary"]
    return ["  " + ", ".join(f"{count:,} {kind}" for kind, count in summary.items())] if summary else []


def _finding(finding: Json) -> str:
    figures = [f"{name} {finding[name]}" for name in ("observed", "limit") if finding[name] is not None]
    behind = f" ({', '.join(figures)})" if figures else ""
    return f"  {finding['severity']} {finding['gate']}: {finding['message']}{behind}"


def _how_to_approve(batch: Json) -> list[str]:
    answer = "{ batch { state version } userErrors { code message } }"
    return [
        "",
        "Publish it with this mutation, or put an end to it with rejectBatch in place of approveBatch:",
        "",
        f'  mutation {{ approveBatch(input: {{batch: "{batch["id"]}", reason: "..."}}) {answer} }}',
    ]


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
    """Write out what a terminal would obey instead of show."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
