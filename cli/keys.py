"""`pricebook keys`: the API keys that callers send as bearer tokens, stored in MongoDB."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from cli import exit_codes
from cli.client.direct import operator
from cli.output import Column, Output, time
from cli.startup import read_settings, require_mongodb_uri
from graph.identity.scopes import BadGrant, Grants
from graph.runtime import open_store
from storage import ApiKey, Store, explain

T = TypeVar("T")

_SCOPES = "prices:read, batches:write, snapshots:operate, admin"


@click.group(epilog=exit_codes.epilog())
def keys() -> None:
    """Create, list and revoke API keys.

    A caller sends a key as `Authorization: Bearer KEY`. MongoDB stores a hash of each key. These commands connect to
    MongoDB, at PRICEBOOK_MONGODB_URI, so creating the first key requires no key.
    """


@keys.command("create", epilog=exit_codes.epilog())
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE[:LIST]",
    help=f"A permission: {_SCOPES}; restricted to price lists with :LIST or :PREFIX*. May be repeated.",
)
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="Number of days until the key expires.")
def create(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Create a key for the caller NAME, which events record.

    The key is printed once, alone on standard output. It cannot be shown again.
    """
    try:
        Grants.parse(scopes)
    except BadGrant as bad:
        raise click.UsageError(f"{bad}.") from bad
    lifetime = datetime.timedelta(days=days) if days else None
    created, key = _run(lambda store: store.api_keys.create(name, scopes, operator(), lifetime))
    until = time(created.expires_at.isoformat()) if created.expires_at else "it is revoked"
    grants = " ".join(created.grants)
    click.echo(f"Key {created.id} of {created.name} grants {grants} until {until}. It is shown only once:", err=True)
    click.echo(key)


@keys.command("list", epilog=exit_codes.epilog())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show all keys, newest first, without their secrets."""
    Output(as_json=as_json).rows(
        map(_row, _run(lambda store: store.api_keys.all())),
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
        "There are no keys. `pricebook keys create` creates one.",
    )


@keys.command("revoke", epilog=exit_codes.epilog())
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke a key: every server refuses it within some seconds."""
    revoked = _run(lambda store: store.api_keys.revoke(key_id))
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


def _run(use: Callable[[Store], Awaitable[T]]) -> T:
    settings = read_settings()
    uri = require_mongodb_uri(settings)

    async def run() -> T:
        store = await open_store(uri, settings)
        try:
            return await use(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise click.ClickException(f"{known.code}: {known.message}") from error
