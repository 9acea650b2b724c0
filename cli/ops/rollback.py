"""`pricebook rollback`, `pin`, `unpin`: the pointer moved and held, what would change shown first."""

import sys

import click

from cli import exit_codes
from cli.client.client import Json
from cli.client.sync_client import ApiError
from cli.ops.connection import Connection, command, found, found_list
from cli.ops.diff import summarized, told
from cli.output import Output, time

LOOK = """
query Look($name: ID!, $version: Int!) {
  priceList(name: $name) { currentVersion pin { version reason by at } }
  snapshot(priceList: $name, version: $version) { version size label publishedAt }
}"""

_MOVED = "priceList { name currentVersion pin { version reason by at } } userErrors { code message path }"
ROLLBACK = f"mutation Rollback($input: RollbackInput!) {{ rollback(input: $input) {{ {_MOVED} }} }}"
PIN = f"mutation Pin($input: PinInput!) {{ pin(input: $input) {{ {_MOVED} }} }}"
UNPIN = f"mutation Unpin($input: UnpinInput!) {{ unpin(input: $input) {{ {_MOVED} }} }}"

_EXITS = {exit_codes.REFUSED: "refused, declined, not found, or no answer; standard error says which"}

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; it is kept with the event, for those who come after."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where nobody is at a terminal.")


@command("rollback", _EXITS)
@click.argument("price_list", metavar="LIST")
@click.argument("version", type=int)
@reason_option
@click.option("--no-pin", is_flag=True, help="Do not pin: the next batch that is valid is published.")
@yes_option
def rollback(
    connection: Connection, output: Output, price_list: str, version: int, reason: str, no_pin: bool, yes: bool
) -> None:
    """Go back to an earlier version, at once.

    VERSION becomes current again; nothing is copied.

    What would change is shown first, and a question asked. What was confirmed is what happens: if another version
    became current meanwhile, it is refused with CONFLICT and nothing is changed.

    The version is pinned, so that the next batch cannot undo it unseen: batches wait until `pricebook unpin`.
    """
    current = _confirm(connection, price_list, version, yes=yes)
    payload = connection.mutate(
        ROLLBACK, priceList=price_list, toVersion=version, reason=reason, expectedVersion=current, pin=not no_pin
    )
    _moved(output, payload["priceList"], f"Rolled back {price_list}: version {version} is current.")


@command("pin", _EXITS)
@click.argument("price_list", metavar="LIST")
@click.argument("version", type=int)
@reason_option
@yes_option
def pin(connection: Connection, output: Output, price_list: str, version: int, reason: str, yes: bool) -> None:
    """Hold a version of a price list.

    Batches are sealed and wait, none is published until `pricebook unpin`.

    If another version is current, the pointer moves: what would change is shown first, and a question asked.
    """
    _confirm(connection, price_list, version, yes=yes, only_a_move=True)
    payload = connection.mutate(PIN, priceList=price_list, version=version, reason=reason)
    _moved(output, payload["priceList"], f"Pinned {price_list} at version {version}.")


@command("unpin")
@click.argument("price_list", metavar="LIST")
@reason_option
@click.option("--publish-latest", is_flag=True, help="Publish the newest batch that waited; the others are rejected.")
def unpin(connection: Connection, output: Output, price_list: str, reason: str, publish_latest: bool) -> None:
    """Let a price list go: the next batch is published again.

    Batches that waited go on waiting, each for `pricebook approve` or `reject`, unless --publish-latest is given.
    """
    latest = {"publishLatest": True} if publish_latest else {}
    payload = connection.mutate(UNPIN, priceList=price_list, reason=reason, **latest)
    shown = payload["priceList"]
    _moved(output, shown, f"Unpinned {price_list}: version {shown['currentVersion']} is current.")


def _confirm(
    connection: Connection, price_list: str, version: int, *, yes: bool, only_a_move: bool = False
) -> int | None:
    """Show what a move would change, and ask; return the version that was shown as current.

    Raises `ApiError` where it is declined, `UsageError` where nobody can be asked.
    """
    data = connection.query(LOOK, name=price_list, version=version)
    current: int | None = found_list(data, price_list)["currentVersion"]
    if only_a_move and current == version:
        return current
    target = found(data["snapshot"], f"version {version} of {price_list}", "`pricebook snapshots` names those kept.")
    if not yes and not at_terminal():
        raise click.UsageError("Nobody is at a terminal to be asked: look with `pricebook diff`, and say --yes.")
    _preview(connection, price_list, current, target)
    if not yes and not click.confirm(f"Make version {version} current?", err=True):
        raise ApiError("Declined: nothing was changed.")
    return current


def _preview(connection: Connection, price_list: str, current: int | None, target: Json) -> None:
    label = f", {target['label']}" if target["label"] else ""
    published = f", published {time(target['publishedAt'])}" if target["publishedAt"] else ""
    click.echo(f"List     {price_list}", err=True)
    click.echo(f"Current  version {'none' if current is None else current}", err=True)
    click.echo(f"Target   version {target['version']}, {target['size']:,} prices{published}{label}", err=True)
    if current is not None:
        summary = summarized(connection, price_list, current, target["version"])
        click.echo(f"Changes  {told(summary)}", err=True)


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _moved(output: Output, price_list: Json, said: str) -> None:
    held = price_list["pin"]
    pinned = held and f"at {held['version']} by {held['by']}: {held['reason']}"
    output.one(price_list, [("version", price_list["currentVersion"]), ("pinned", pinned or "no")], said)
