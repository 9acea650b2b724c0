"""The report of an import: the result, the findings, how often each error occurs, with examples; and the exit code."""

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence

import click

from cli.client import Json
from cli.exit_codes import FAILURE, HELD, SUCCESS
from cli.holds import holds, is_about_schedule, is_scheduled
from cli.imports.batch_api import DRY_RUN, BatchRequest, Outcome
from cli.imports.held import next_commands
from cli.output import REDIRECTED_WIDTH, counted, printable, time

MAX_EXAMPLES_PER_CODE = 3
"""Errors of each code that are printed."""

MAX_EXAMPLES = 30
"""Errors of all codes that are printed."""


def exit_code(request: BatchRequest, outcome: Outcome) -> int:
    """Return the exit code of the command."""
    if outcome.state == "HELD":
        waits = is_scheduled(outcome.batch) or outcome.batch["release"]
        return SUCCESS if waits and not holds(outcome.batch) else HELD
    if outcome.state == "PUBLISHED":
        return SUCCESS
    if not _is_passed_dry_run(request, outcome):
        return FAILURE
    severities = {finding["severity"] for finding in outcome.batch["findings"]}
    return FAILURE if "REJECT" in severities else HELD if holds(outcome.batch) else SUCCESS


def report(request: BatchRequest, outcome: Outcome, *, endpoint: str | None = None, to_stderr: bool = False) -> None:
    """Print the result of a batch to standard output, or to standard error, with the `endpoint` that commands need."""
    printer = _Printer(to_stderr=to_stderr)
    batch = outcome.batch
    printer.print([_headline(request, outcome), *_summary(batch)])
    printer.print([_finding(finding) for finding in _findings(request, outcome)])
    printer.print([f"  {error['code']}: {error['message']}" for error in outcome.user_errors])
    if batch["errors"]:
        _print_errors(printer, batch)
    if outcome.state == "HELD":
        printer.print(["", *next_commands(batch, endpoint)])


def _is_passed_dry_run(request: BatchRequest, outcome: Outcome) -> bool:
    """Whether this was a dry run of a valid batch."""
    return request.publish == DRY_RUN and outcome.state == "ABORTED" and not outcome.user_errors


def _headline(request: BatchRequest, outcome: Outcome) -> str:
    batch = outcome.batch
    size = "" if outcome.size is None else f", {counted(outcome.size, 'price')}"
    if outcome.state == "PUBLISHED":
        served = batch["served"]
        by = f"; {served['by']} of {served['of']} servers serve it" if served else ""
        return f"Published {request.price_list}: version {batch['version']}{size}{by}."
    if outcome.state == "HELD":
        version = f"version {batch['version']} of {request.price_list}{size}"
        if batch["release"]:
            when = f" until {time(batch['publishAt'])}" if is_scheduled(batch) else ""
            return f"Batch {batch['id']} waits in release {batch['release']['name']}{when}: {version}."
        if is_scheduled(batch):
            return f"Batch {batch['id']} is scheduled for {time(batch['publishAt'])}: {version}."
        return f"Batch {batch['id']} is held: {version}."
    if _is_passed_dry_run(request, outcome):
        return f"Checked {request.price_list}, a dry run, nothing is published: the batch {_verdict(request, outcome)}."
    return f"Batch {batch['id']} of {request.price_list} is {outcome.state}: nothing is published."


def _verdict(request: BatchRequest, outcome: Outcome) -> str:
    """Return what would become of the batch of a dry run."""
    code = exit_code(request, outcome)
    if request.publish_at and code != FAILURE:
        held = ", and held for a review then if nothing changes" if code == HELD else ""
        return f"would be scheduled for {time(request.publish_at)}{held}"
    return {SUCCESS: "would be published", HELD: "would be held", FAILURE: "would be rejected"}[code]


def _findings(request: BatchRequest, outcome: Outcome) -> list[Json]:
    """Return the findings to print. A dry run schedules nothing, so that it has none about a schedule."""
    findings: list[Json] = outcome.batch["findings"]
    is_dry_run = _is_passed_dry_run(request, outcome)
    return [each for each in findings if not (is_dry_run and is_about_schedule(each))]


def _summary(batch: Json) -> list[str]:
    summary = batch["summary"]
    return ["  " + ", ".join(f"{count:,} {kind}" for kind, count in summary.items())] if summary else []


def _finding(finding: Json) -> str:
    figures = [f"{name} {finding[name]}" for name in ("observed", "limit") if finding[name] is not None]
    suffix = f" ({', '.join(figures)})" if figures else ""
    return f"  {finding['severity']} {finding['gate']}: {finding['message']}{suffix}"


class _Printer:
    """Prints lines. In a terminal, long messages continue on the next line."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        is_terminal = (sys.stderr if to_stderr else sys.stdout).isatty()
        self._width = shutil.get_terminal_size().columns if is_terminal else REDIRECTED_WIDTH

    def print(self, lines: Sequence[str]) -> None:
        for line in lines:
            click.echo(printable(line), err=self._to_stderr)

    def print_wrapped(self, text: str, indent: str) -> None:
        """Print a text in lines of at most the width, and break no word."""
        self.print(
            textwrap.wrap(
                printable(text),
                self._width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _print_errors(printer: _Printer, batch: Json) -> None:
    """Print how often each code occurs, then the first errors of each code."""
    errors: list[Json] = batch["errors"]
    totals = Counter(error["code"] for error in errors)
    shown = _examples(errors)
    printer.print(["", f"  {_errors_title(batch)}:"])
    printer.print([f"  {count:>9,}  {code}" for code, count in totals.most_common()])
    for error in shown:
        printer.print(["", f"  {_place(error)}"])
        printer.print_wrapped(error["message"], "    ")
    if len(shown) < len(errors):
        printer.print(["", f"  and {len(errors) - len(shown):,} more errors: --errors-to FILE writes them"])


def _errors_title(batch: Json) -> str:
    errors = batch["errors"]
    if errors[0]["index"] is None:
        return f"{counted(len(errors), 'error')} in the header row"
    items = len({error["index"] for error in errors})
    if items < batch["errorCount"]:
        return f"{counted(batch['errorCount'], 'invalid item')}; {counted(len(errors), 'error')} of the first {items:,}"
    return f"{counted(len(errors), 'error')} in {counted(items, 'item')}"


def _examples(errors: Sequence[Json]) -> list[Json]:
    """Return the first errors of each code, in the order of their lines."""
    counts: Counter[str] = Counter()
    shown: list[Json] = []
    for error in errors:
        if counts[error["code"]] < MAX_EXAMPLES_PER_CODE and len(shown) < MAX_EXAMPLES:
            counts[error["code"]] += 1
            shown.append(error)
    return shown


def _place(error: Json) -> str:
    """Return the line of an error, its code and field, and last the sku, which may be long."""
    place = f"item {error['index']}" if error["line"] is None else f"line {error['line']}"
    field = None if error["field"] == "sku" else error["field"]
    parts = [place, error["code"], field, f"sku {error['sku']}" if error["sku"] else None]
    return "  ".join(part for part in parts if part)
