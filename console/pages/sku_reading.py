"""Reading a sku: its price now, what it was before, and where that came from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from console.client import Json
from console.client.errors import ApiError
from console.frame.visit import Visit
from console.pages.sku_periods import MAX_ROWS, Origins, read_origins
from console.widgets.prices import PRICE_FIELDS

CURRENT = f"""
query ConsoleSku($name: ID!, $sku: ID!) {{
  priceList(name: $name) {{ name snapshots(first: 20) {{ nodes {{ version state }} }} }}
  snapshot(priceList: $name) {{
    version
    price(sku: $sku) {{ {PRICE_FIELDS} lowest(days: 30) {{ amount currency version from complete }} }}
  }}
}}"""

TIMELINE = f"""
query ConsoleTimeline($name: ID!, $version: Int!, $sku: ID!, $since: DateTime!) {{
  snapshot(priceList: $name, version: $version) {{
    price(sku: $sku) {{ timeline(since: $since) {{ from until version price {{ {PRICE_FIELDS} }} }} }}
  }}
}}"""

LAST_VERSION = """
query ConsoleLastVersion($name: ID!, $version: Int!, $sku: ID!, $prefix: String!) {
  snapshot(priceList: $name, version: $version) {
    history(sku: $sku, first: 2) { version price { sku } }
    prices(first: 10, filter: { skuPrefix: $prefix }) { nodes { sku } }
  }
}"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A sku as the API has it.

    `version` is the current version, and `price` the price in it. Without one, `last` is the newest version that had
    the sku, and `alike` are skus that begin with it. `periods` is its timeline, up to `now`.
    """

    version: int
    price: Json | None
    last: int | None
    alike: Sequence[str]
    periods: Sequence[Json]
    now: datetime = field(compare=False)


async def read_sku(visit: Visit, name: str, sku: str, since: datetime) -> Reading | None:
    """Return what is known of a sku, and its timeline since an instant. None if nothing is current.

    Raises `ApiError`.
    """
    found = await visit.api.query(CURRENT, name=name, sku=sku)
    if found["priceList"] is None or found["snapshot"] is None:
        return None
    version, price = found["snapshot"]["version"], found["snapshot"]["price"]
    last, alike = version, list[str]()
    if price is None:
        # After a rollback, newer versions than the current one may have the sku.
        snapshots = found["priceList"]["snapshots"]["nodes"]
        newest = max([version, *(each["version"] for each in snapshots if each["state"] == "PUBLISHED")])
        last, alike = await _read_last(visit, name, sku, newest)
    periods = await _read_periods(visit, name, sku, last, since) if last else []
    return Reading(version, price, last, alike, periods, datetime.now(UTC))


async def _read_last(visit: Visit, name: str, sku: str, version: int) -> tuple[int | None, list[str]]:
    found = await visit.api.query(LAST_VERSION, name=name, version=version, sku=sku, prefix=sku)
    snapshot = found["snapshot"]
    last = next((each["version"] for each in snapshot["history"] if each["price"]), None)
    return last, [each["sku"] for each in snapshot["prices"]["nodes"] if each["sku"] != sku]


async def _read_periods(visit: Visit, name: str, sku: str, version: int, since: datetime) -> list[Json]:
    found = await visit.api.query(TIMELINE, name=name, version=version, sku=sku, since=since.isoformat())
    price = (found["snapshot"] or {}).get("price")
    return list(price["timeline"]) if price else []


async def origins_of(visit: Visit, name: str, periods: Sequence[Json]) -> tuple[Origins, ApiError | None]:
    """Return where the newest periods come from; none, and why, if that cannot be read: prices matter more."""
    try:
        return await read_origins(visit, name, periods[-MAX_ROWS:]), None
    except ApiError as error:
        return Origins([], {}), error
