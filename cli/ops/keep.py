"""`pricebook keep`: keeps a version until an instant, whatever retention says, or no longer."""

import datetime

import click

from cli.instants import Instant
from cli.ops.confirmation import EXIT_CODES, confirm, reason_option, yes_option
from cli.ops.connection import Connection, command, require, require_list
from cli.options import list_argument
from cli.output import Output, counted, time, version_text

KEPT = """
query Kept($name: ID!, $version: Int!) {
  priceList(name: $name) { currentVersion }
  snapshot(priceList: $name, version: $version) { size publishedAt keptUntil }
}"""

KEEP = """
mutation Keep($input: KeepVersionInput!) {
  keepVersion(input: $input) { priceList { name currentVersion } userErrors { code message path } }
}"""


@command("keep", EXIT_CODES)
@list_argument
@click.argument("version", type=int)
@click.option(
    "--until",
    type=Instant(spans=True, dates=True),
    metavar="INSTANT",
    help="Until when: an instant with an offset, such as 2027-01-31T18:00+01:00; a date, which means its end in UTC; "
    "or a span from now, such as 90d or 12h. At most ten years ahead.",
)
@click.option("--release", is_flag=True, help="Keep the version no longer: retention decides again.")
@reason_option
@yes_option
def keep(
    connection: Connection,
    output: Output,
    price_list: str,
    version: int,
    until: datetime.datetime | None,
    release: bool,
    reason: str,
    yes: bool,
) -> None:
    """Keep a version until an instant, whatever retention says.

    It replaces what was set before. The version must have been current, and must not have expired: `pricebook restore`
    brings an expired one back. `pricebook retain --dry-run` shows the versions that are kept in this way. The command
    asks for confirmation, unless --yes is given.
    """
    if (until is None) is not release:
        raise click.UsageError("Use either --until or --release.")
    instant = None if until is None else until.isoformat()
    shown = f"until {time(instant)}" if instant else "no longer than retention does"
    _confirm(connection, price_list, version, shown, yes=yes)
    kept = connection.mutate(KEEP, priceList=price_list, version=version, until=instant, reason=reason)["priceList"]
    record = {"priceList": kept["name"], "version": version, "keptUntil": instant}
    is_kept = f"kept {shown}" if instant else "no longer kept beyond retention"
    output.record(record, (), f"Version {version} of {price_list} is {is_kept}.")


def _confirm(connection: Connection, price_list: str, version: int, shown: str, *, yes: bool) -> None:
    """Let the user confirm what is kept. Raises as `confirm`."""
    data = connection.query(KEPT, name=price_list, version=version)
    current = require_list(data, price_list)["currentVersion"]
    advice = "`pricebook snapshots` shows the versions that are kept."
    found = require(data["snapshot"], f"version {version} of {price_list}", advice)
    published = f", published {time(found['publishedAt'])}" if found["publishedAt"] else ""
    confirm(
        f"Keep version {version} {shown}?",
        [
            ("List", price_list),
            ("Current", f"{version_text(current)}, which stays current"),
            ("Target", f"version {version}, {counted(found['size'], 'price')}{published}"),
            ("Kept now", f"until {time(found['keptUntil'])}" if found["keptUntil"] else "by retention alone"),
        ],
        yes=yes,
        preview_command=f"pricebook retain {price_list} --dry-run",
    )
