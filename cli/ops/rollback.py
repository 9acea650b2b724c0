"""`pricebook rollback`, `pin`, `unpin`: move and pin the pointer, after a preview of the changes."""

import sys

import click

from cli import exit_codes
from cli.client.client import Json
from cli.client.errors import ApiError
from cli.ops.connection import Connection, command, require, require_list
from cli.ops.diff import summary_line, summary_of
from cli.options import list_argument
from cli.output import Output, time

PREVIEW = """
query Preview($name: ID!, $version: Int!) {
  priceList(name: $name) { currentVersion pin { version reason by at } }
  snapshot(priceList: $name, version: $version) { version size label publishedAt }
}"""

_PAYLOAD = "priceList { name currentVersion pin { version reason by at } } userErrors { code message path }"
ROLLBACK = f"mutation Rollback($input: RollbackInput!) {{ rollback(input: $input) {{ {_PAYLOAD} }} }}"
PIN = f"mutation Pin($input: PinInput!) {{ pin(input: $input) {{ {_PAYLOAD} }} }}"
UNPIN = f"mutation Unpin($input: UnpinInput!) {{ unpin(input: $input) {{ {_PAYLOAD} }} }}"

_EXITS = {exit_codes.FAILURE: "refused, declined, not found, or no response; standard error gives the reason"}

reason_option = click.option("--reason", required=True, metavar="TEXT", help="The reason, recorded in the event.")
yes_option = click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Do not compare the versions or ask for confirmation; required if standard input is not a terminal.",
)


@command("rollback", _EXITS)
@list_argument
@click.argument("version", type=int)
@reason_option
@click.option("--no-pin", is_flag=True, help="Do not pin: the next valid batch is published.")
@yes_option
def rollback(
    connection: Connection, output: Output, price_list: str, version: int, reason: str, no_pin: bool, yes: bool
) -> None:
    """Roll back to an earlier version.

    VERSION becomes current again; nothing is copied.

    The command shows the changes and asks for confirmation; with --yes, it shows only the two versions and does not
    wait for their comparison. If another version becomes current meanwhile, the rollback is refused with CONFLICT and
    nothing is changed.

    The version is pinned, so that the next batch cannot undo the rollback: batches wait until `pricebook unpin`.
    """
    current = _confirm(connection, price_list, version, yes=yes)
    payload = connection.mutate(
        ROLLBACK, priceList=price_list, toVersion=version, reason=reason, expectedVersion=current, pin=not no_pin
    )
    _show(output, payload["priceList"], f"Rolled back {price_list}: version {version} is current.")


@command("pin", _EXITS)
@list_argument
@click.argument("version", type=int)
@reason_option
@yes_option
def pin(connection: Connection, output: Output, price_list: str, version: int, reason: str, yes: bool) -> None:
    """Pin a version of a price list.

    New batches are sealed and wait; none is published until `pricebook unpin`.

    If another version is current, the pointer moves: the command shows the changes and asks for confirmation. With
    --yes, it shows only the two versions and does not wait for their comparison.
    """
    _confirm(connection, price_list, version, yes=yes, only_if_moved=True)
    payload = connection.mutate(PIN, priceList=price_list, version=version, reason=reason)
    _show(output, payload["priceList"], f"Pinned {price_list} at version {version}.")


@command("unpin")
@list_argument
@reason_option
@click.option(
    "--publish-latest", is_flag=True, help="Publish the newest batch that only the pin held; the others are superseded."
)
def unpin(connection: Connection, output: Output, price_list: str, reason: str, publish_latest: bool) -> None:
    """Unpin a price list: new batches are published again.

    Batches that wait need `pricebook approve` or `reject`; with --publish-latest, only those that a gate or the publish
    policy ON_APPROVAL also holds.
    """
    latest = {"publishLatest": True} if publish_latest else {}
    payload = connection.mutate(UNPIN, priceList=price_list, reason=reason, **latest)
    shown = payload["priceList"]
    _show(output, shown, f"Unpinned {price_list}: version {shown['currentVersion']} is current.")


def _confirm(
    connection: Connection, price_list: str, version: int, *, yes: bool, only_if_moved: bool = False
) -> int | None:
    """Show a move and return the version that was shown as current.

    Unless `yes`, compare the two versions first, which takes minutes for large lists, and ask for confirmation.
    Raises `ApiError` if the user declines, `UsageError` if standard input is not a terminal.
    """
    data = connection.query(PREVIEW, name=price_list, version=version)
    current: int | None = require_list(data, price_list)["currentVersion"]
    if only_if_moved and current == version:
        return current
    advice = "`pricebook snapshots` shows the versions that are kept."
    target = require(data["snapshot"], f"version {version} of {price_list}", advice)
    if not yes and not is_interactive():
        raise click.UsageError("Standard input is not a terminal: check with `pricebook diff`, then use --yes.")
    _show_versions(price_list, current, target)
    if yes:
        return current
    if current is not None:
        summary = summary_of(connection, price_list, current, version)
        click.echo(f"Changes  {summary_line(summary)}", err=True)
    if not click.confirm(f"Make version {version} current?", err=True):
        raise ApiError("Declined: nothing was changed.")
    return current


def _show_versions(price_list: str, current: int | None, target: Json) -> None:
    label = f", {target['label']}" if target["label"] else ""
    published = f", published {time(target['publishedAt'])}" if target["publishedAt"] else ""
    click.echo(f"List     {price_list}", err=True)
    click.echo(f"Current  version {'none' if current is None else current}", err=True)
    click.echo(f"Target   version {target['version']}, {target['size']:,} prices{published}{label}", err=True)


def is_interactive() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin.isatty()


def _show(output: Output, price_list: Json, message: str) -> None:
    pin = price_list["pin"]
    pinned = f"at {pin['version']} by {pin['by']}: {pin['reason']}" if pin else "no"
    output.record(price_list, [("version", price_list["currentVersion"]), ("pinned", pinned)], message)
