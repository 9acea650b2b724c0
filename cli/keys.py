"""`pricebook keys`: the API keys that callers send as bearer tokens, kept in MongoDB itself."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from cli import exit_codes
from cli.direct import operator
from cli.output import Column, Output, time
from cli.startup import BadSettings, read_settings
from graph.identity.scopes import BadGrant, Grants
from graph.runtime import open_store
from storage import ApiKey, Store, explain

T = TypeVar("T")

_SCOPES = "prices:read, batches:write, snapshots:operate, admin"


@click.group(epilog=exit_codes.manual())
def keys() -> None:
    """Create, list and revoke API keys.

    A caller sends a key as `Authorization: Bearer KEY`. Keys are kept, hashed, in MongoDB at PRICEBOOK_MONGODB_URI;
    these commands go there themselves, so the first key needs no other.
    """


@keys.command("create", epilog=exit_codes.manual())
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE[:LIST]",
    help=f"What it may do: {_SCOPES}; with :LIST or :PREFIX* for some lists only. As often as needed.",
)
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="It expires after so many days.")
def create(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Create a key for NAME, as events will call its caller.

    The key is printed once, alone on standard output; nobody can tell it again.
    """
    try:
        Grants.of(scopes)
    except BadGrant as bad:
        raise click.UsageError(f"{bad}.") from bad
    lifetime = datetime.timedelta(days=days) if days else None
    made, key = _in_store(lambda store: store.api_keys.create(name, scopes, operator(), lifetime))
    until = f"until {time(made.expires_at.isoformat())}" if made.expires_at else "until it is revoked"
    click.echo(f"Key {made.id} of {made.name} may {' '.join(made.grants)}, {until}. It is shown only now:", err=True)
    click.echo(key)


@keys.command("list", epilog=exit_codes.manual())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_(as_json: bool) -> None:
    """Show all keys, the newest first; their secrets are known to nobody."""
    Output(as_json=as_json).rows(
        map(_row, _in_store(lambda store: store.api_keys.all())),
        [
            Column("ID", lambda row: row["id"]),
            Column("NAME", lambda row: row["name"]),
            Column("SCOPES", lambda row: " ".join(row["scopes"])),
            Column("CREATED", lambda row: time(row["createdAt"])),
            Column("BY", lambda row: row["createdBy"]),
            Column("EXPIRES", lambda row: time(row["expiresAt"])),
            Column("REVOKED", lambda row: time(row["revokedAt"])),
            Column("LAST USED", lambda row: time(row["lastUsedAt"])),
        ],
        "There is no key. `pricebook keys create` makes one.",
    )


@keys.command("revoke", epilog=exit_codes.manual())
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Let a key not be used any more: every server refuses it within some seconds."""
    revoked = _in_store(lambda store: store.api_keys.revoke(key_id))
    click.echo(f"Key {revoked.id} of {revoked.name} is revoked.")


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.grants),
        "createdAt": key.created_at.isoformat(),
        "createdBy": key.created_by,
        "expiresAt": key.expires_at and key.expires_at.isoformat(),
        "revokedAt": key.revoked_at and key.revoked_at.isoformat(),
        "lastUsedAt": key.last_used_at and key.last_used_at.isoformat(),
    }


def _in_store(act: Callable[[Store], Awaitable[T]]) -> T:
    settings = read_settings()
    uri = settings.mongodb_uri
    if uri is None:
        raise BadSettings("Set PRICEBOOK_MONGODB_URI: keys are kept in MongoDB itself.")

    async def acting() -> T:
        store = await open_store(uri, settings)
        try:
            return await act(store)
        finally:
            await store.close()

    try:
        return asyncio.run(acting())
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise click.ClickException(f"{known.code}: {known.message}") from error
