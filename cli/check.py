"""`pricebook check`: proves what is in MongoDB, and says what is wrong and what to do."""

import asyncio
import sys
from collections.abc import Sequence

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import exit_codes
from cli.progress import Advance
from cli.startup import BadSettings, read_settings
from graph.settings import Settings
from storage import Store, explain
from storage.integrity.check import Checked
from storage.integrity.findings import Finding

MAX_FINDINGS_SHOWN = 1000
"""More findings are counted only."""

_WIDE = 200  # characters, where the output is no terminal: a table is folded as late as possible

_EXIT_CODES = exit_codes.manual(
    {exit_codes.DONE: "everything is sound", exit_codes.REFUSED: "something is wrong, or MongoDB does not answer"}
)


@click.command(epilog=_EXIT_CODES)
@click.argument("price_list", metavar="[LIST]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check(price_list: str | None, as_json: bool) -> None:
    """Prove that what MongoDB holds is what was published.

    Every manifest of every list, or of LIST, is walked: each layer is there, refuses writes, and has as many documents
    and the checksum that were sealed; each version has the size that its layers say, and a batch that made it; the
    pointer names a version that was published, as its events tell. Layers that no version names are found, too,
    unless a LIST is given.

    It reads MongoDB itself, at PRICEBOOK_MONGODB_URI, not the API; changes nothing; and can run while servers do. All
    layers are read once, about a hundred thousand prices a second.
    """
    settings = read_settings()
    if settings.mongodb_uri is None:
        raise BadSettings("Set PRICEBOOK_MONGODB_URI: the check reads MongoDB itself.")
    try:
        checked, findings, count = asyncio.run(_run(settings, settings.mongodb_uri, price_list))
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        raise SystemExit(exit_codes.INTERRUPTED) from None
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise click.ClickException(known.message) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_as_json(checked, findings, count))))
    else:
        _report(checked, findings, count)
    raise SystemExit(exit_codes.REFUSED if count else exit_codes.DONE)


async def _run(settings: Settings, uri: str, price_list: str | None) -> tuple[Checked, list[Finding], int]:
    findings, count = list[Finding](), 0
    with Advance("checking") as advance:

        def tell(checked: Checked) -> None:
            advance.tell(checked.versions, checked.of_versions, _words(checked))

        async with Store.open_existing(uri, settings.mongodb_database) as store:
            integrity_check = store.integrity_check(tell)
            async for finding in integrity_check.run(price_list):
                count += 1
                findings += [finding] if count <= MAX_FINDINGS_SHOWN else []
            return integrity_check.checked, findings, count


def _words(checked: Checked) -> str:
    return (
        f"{checked.lists:,} of {checked.of_lists:,} lists, {checked.versions:,} of {checked.of_versions:,} versions, "
        f"{checked.rows:,} documents"
    )


def _as_json(checked: Checked, findings: Sequence[Finding], count: int) -> dict[str, object]:
    return {
        "sound": not count,
        "lists": checked.lists,
        "versions": checked.versions,
        "documents": checked.rows,
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


def _report(checked: Checked, findings: Sequence[Finding], count: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    if findings:
        table = Table(box=box.SIMPLE, pad_edge=False, show_lines=True)
        for name in ("code", "list", "version", "what is wrong, and what to do"):
            table.add_column(name, no_wrap=name in {"code", "version"}, overflow="fold")
        for finding in findings:
            version = "" if finding.version is None else str(finding.version)
            told = f"{finding.message}\n{finding.advice}"
            cells = (finding.code, finding.price_list or "", version, told)
            table.add_row(*map(Text, cells))
        console.print(table)
    more = f" The first {len(findings):,} are shown." if count > len(findings) else ""
    verdict = f"{count:,} {'finding' if count == 1 else 'findings'}." if count else "Everything is sound."
    click.echo(f"{verdict}{more} Checked {_words(checked)}.")
