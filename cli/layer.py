"""`pricebook layer`: a layer in readable form, straight from MongoDB."""

from collections.abc import Iterator

import click

from cli import exit_codes
from cli.client import Json
from cli.mongodb import run_on_mongodb
from cli.ops.connection import limit_option
from cli.output import Column, Output, json
from storage import Price, Store
from storage.errors import LayerGone
from storage.integrity.inspection import InspectedLayer
from storage.layers.block import BlockContent, BlockEntry

_VERSIONS_SHOWN = 10
"""Number of versions to name; further ones are only counted."""


@click.command(epilog=exit_codes.epilog())
@click.argument("layer_id", metavar="ID")
@click.option("--block", "sku", metavar="SKU", help="Show the rows of the block that has SKU, or would have it.")
@limit_option(50)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def layer(layer_id: str, sku: str | None, limit: int, as_json: bool) -> None:
    """Show what a layer is made of.

    Its checksum, the versions that name it, and its directory: the blocks in sku order, each with its first sku, its
    number of rows and of tombstones among them, the bytes of its rows, and the range of its amounts, currencies and
    dates. `pricebook check` and errors name layers by their ID.

    The command reads MongoDB, at PRICEBOOK_MONGODB_URI, not the API. Directory and block are proved by
    the checksum in a manifest that names the layer. If no version names it, only the block is proved, by the directory
    as it is stored.
    """
    output = Output(as_json=as_json)
    found, content = run_on_mongodb(lambda store: _read(store, layer_id, sku))
    header = _header(found)
    if sku is None or content is None:
        blocks = _blocks(found, limit)
        output.rows_with_summary(header, _summary(found, limit), "blocks", blocks, _BLOCK_COLUMNS, "It has no blocks.")
        return
    entry = found.directory.entry(found.directory.index(sku))
    verdict = "" if sku in content.skus else f" It has no row of {sku!r}."
    output.rows_with_summary(
        {**header, "block": _block(entry)},
        f"Block {entry.first!r} of layer {found.id}, hash {entry.hash.hex()}: {entry.rows} rows.{verdict}",
        "rows",
        _rows(content),
        _ROW_COLUMNS,
        "",
    )


async def _read(store: Store, layer_id: str, sku: str | None) -> tuple[InspectedLayer, BlockContent | None]:
    """Return a layer, and the block that may have a sku."""
    inspector = store.layer_inspector()
    try:
        found = await inspector.inspect(layer_id)
    except LayerGone as error:
        raise click.ClickException(
            f"Layer {layer_id} has no directory: it is still being written, or the process that wrote it ended."
        ) from error
    if found is None:
        raise click.ClickException(
            f"There is no layer {layer_id!r} in {store.layers_db.name!r}. Check the id and PRICEBOOK_MONGODB_DATABASE."
        )
    if sku is None:
        return found, None
    index = found.directory.index(sku)
    if index < 0:
        first = f"the first block begins with {found.directory.firsts[0]!r}" if len(found.directory) else "it is empty"
        raise click.ClickException(f"No block of layer {layer_id} can have {sku!r}: {first}.")
    return found, await inspector.block(found, index)


def _header(found: InspectedLayer) -> Json:
    return {
        "layer": found.id,
        "checksum": found.checksum,
        "count": found.directory.count,
        "sealed": found.sealed,
        "versions": [{"priceList": name, "version": version} for name, version in found.versions],
        "blockCount": len(found.directory),
    }


def _summary(found: InspectedLayer, limit: int) -> str:
    directory = found.directory
    named = ", ".join(f"{name} {version}" for name, version in found.versions[:_VERSIONS_SHOWN]) or "none"
    more = f" and {len(found.versions) - _VERSIONS_SHOWN} more" if len(found.versions) > _VERSIONS_SHOWN else ""
    removed = sum(directory.tombstones)
    shown = f" The first {limit:,} follow; `--limit 0` shows all." if 0 < limit < len(directory) else ""
    return (
        f"Layer {found.id}, {'sealed' if found.sealed else 'NOT SEALED'}, checksum {found.checksum}.\n"
        f"Versions: {named}{more}.\n"
        f"{directory.count:,} rows, {removed:,} of them tombstones, in {len(directory):,} blocks.{shown}"
    )


def _blocks(found: InspectedLayer, limit: int) -> Iterator[Json]:
    directory = found.directory
    return (_block(directory.entry(index)) for index in range(min(limit or len(directory), len(directory))))


def _block(entry: BlockEntry) -> Json:
    stats = entry.stats
    return {
        "first": entry.first,
        "rows": entry.rows,
        "tombstones": entry.tombstones,
        "rowBytes": entry.row_bytes,
        "hash": entry.hash.hex(),
        "least": stats.least,
        "greatest": stats.greatest,
        "currencies": stats.currencies,
        "validFrom": stats.valid_from,
        "validUntil": stats.valid_until,
    }


_BLOCK_COLUMNS = (
    Column("FIRST SKU", lambda row: row["first"]),
    Column("ROWS", lambda row: row["rows"], numeric=True),
    Column("TOMBSTONES", lambda row: row["tombstones"], numeric=True),
    Column("BYTES", lambda row: row["rowBytes"], numeric=True),
    Column("LEAST", lambda row: row["least"], numeric=True),
    Column("GREATEST", lambda row: row["greatest"], numeric=True),
    Column("CURRENCIES", lambda row: " ".join(row["currencies"])),
    Column("FROM", lambda row: row["validFrom"]),
    Column("UNTIL", lambda row: row["validUntil"]),
)


def _rows(content: BlockContent) -> Iterator[Json]:
    for sku, price in zip(content.skus, content.prices(), strict=True):
        yield {"sku": sku, "removed": True} if price is None else {"sku": sku, **_price(price)}


def _price(price: Price) -> Json:
    return {
        "amount": str(price.amount),
        "currency": price.currency,
        "tiers": [{"minQuantity": tier.min_quantity, "amount": str(tier.amount)} for tier in price.tiers],
        "validFrom": price.valid_from,
        "validUntil": price.valid_until,
        "attributes": price.attributes,
    }


_ROW_COLUMNS = (
    Column("SKU", lambda row: row["sku"]),
    Column("AMOUNT", lambda row: "removed" if "removed" in row else row["amount"], numeric=True),
    Column("CURRENCY", lambda row: row.get("currency")),
    Column("FROM", lambda row: row.get("validFrom")),
    Column("UNTIL", lambda row: row.get("validUntil")),
    Column("TIERS", lambda row: " ".join(f"{tier['minQuantity']}:{tier['amount']}" for tier in row.get("tiers", ()))),
    Column("ATTRIBUTES", lambda row: json(row["attributes"]) if row.get("attributes") else None),
)
