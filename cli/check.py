"""`pricebook check`: verifies the data in MongoDB and prints problems with their remedies."""

import sys
from collections.abc import Sequence

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import exit_codes
from cli.mongodb import run_on_mongodb
from cli.options import optional_list_argument
from cli.output import REDIRECTED_WIDTH, counted, printable
from cli.progress import Progress
from storage import Store
from storage.integrity.check import CheckProgress
from storage.integrity.findings import Finding

MAX_FINDINGS_SHOWN = 1000
"""Number of findings to print; further ones are only counted."""

_EXIT_CODES = exit_codes.epilog(
    {
        exit_codes.SUCCESS: "everything is sound",
        exit_codes.FAILURE: "something is wrong, or MongoDB does not respond",
    }
)


@click.command(epilog=_EXIT_CODES)
@optional_list_argument
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(price_list: str | None, as_json: bool) -> None:
    """Verify that the data in MongoDB is what was published.

    The check reads every manifest of all price lists, or of LIST. It verifies that each layer exists, refuses writes,
    and has the sealed directory, whose checksum its manifests name, and exactly the blocks of that directory, by hash
    and content; that each version has the size that its layers add up to, and a batch that created it; that the
    pointer names a version that the events show as published. Without LIST it also finds layers that no version names,
    and staged rows of finished batches. A damaged block is named by its first sku.

    It reads MongoDB, at PRICEBOOK_MONGODB_URI, not the API; it changes nothing, and can run while servers do. It reads
    all layers once.
    """
    checked, findings, count = run_on_mongodb(lambda store: _run(store, price_list))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_as_json(checked, findings, count))))
    else:
        _report(checked, findings, count)
    raise SystemExit(exit_codes.FAILURE if count else exit_codes.SUCCESS)


async def _run(store: Store, price_list: str | None) -> tuple[CheckProgress, list[Finding], int]:
    findings, count = list[Finding](), 0
    with Progress("checking") as progress:

        def show(checked: CheckProgress) -> None:
            progress.update(checked.versions, checked.total_versions, _figures(checked))

        integrity_check = store.integrity_check(show)
        async for finding in integrity_check.run(price_list):
            count += 1
            findings += [finding] if count <= MAX_FINDINGS_SHOWN else []
        return integrity_check.progress, findings, count


def _figures(checked: CheckProgress) -> str:
    return (
        f"{checked.lists:,} of {checked.total_lists:,} lists, "
        f"{checked.versions:,} of {checked.total_versions:,} versions, {checked.rows:,} rows"
    )


def _as_json(checked: CheckProgress, findings: Sequence[Finding], count: int) -> dict[str, object]:
    return {
        "sound": not count,
        "lists": checked.lists,
        "versions": checked.versions,
        "rows": checked.rows,
        "findingCount": count,
        "findings": [
            {
                "code": finding.code,
                "priceList": finding.price_list,
                "version": finding.version,
                "layer": finding.layer,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in findings
        ],
    }


def _report(checked: CheckProgress, findings: Sequence[Finding], count: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else REDIRECTED_WIDTH)
    if findings:
        table = Table(box=box.SIMPLE, pad_edge=False, show_lines=True)
        for name in ("code", "list", "version", "problem and remedy"):
            table.add_column(name, no_wrap=name in {"code", "version"}, overflow="fold")
        for finding in findings:
            version = "" if finding.version is None else str(finding.version)
            cells = (
                finding.code,
                finding.price_list or "",
                version,
                f"{printable(finding.message)}\n{printable(finding.advice)}",
            )
            table.add_row(*map(Text, cells))
        console.print(table)
    more = f" The first {len(findings):,} are shown." if count > len(findings) else ""
    verdict = f"{counted(count, 'finding')}." if count else "Everything is sound."
    click.echo(f"{verdict}{more} Checked {_figures(checked)}.")
