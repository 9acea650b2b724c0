"""Global ids: opaque to clients. Those of prices and snapshots name the version, so that no cache mixes versions.

    PriceList:LIST   Snapshot:LIST:VERSION   Price:LIST:VERSION:SKU

The names of lists have no colon; skus may. The id of a batch or a release is the one that it is
stored under.
"""

from typing import NamedTuple

from storage import InvalidArgument, check_name

MAX_ID_LENGTH = 400
"""Number of characters of an id: more than any valid one has."""

_MAX_VERSION_DIGITS = 10

_PARTS = {"PriceList": 1, "Snapshot": 2, "Price": 3}
"""By type, the number of parts of an id after its prefix."""


class NodeId(NamedTuple):
    """The parts of an id. `version` is None for a price list, `sku` for all but prices."""

    price_list: str
    version: int | None = None
    sku: str | None = None


def price_list_id(name: str) -> str:
    """Return the id of a price list."""
    return f"PriceList:{name}"


def snapshot_id(price_list: str, version: int) -> str:
    """Return the id of a version."""
    return f"Snapshot:{price_list}:{version}"


def price_id(price_list: str, version: int, sku: str) -> str:
    """Return the id of a price in a version."""
    return f"Price:{price_list}:{version}:{sku}"


def parse_node_id(text: str) -> NodeId | None:
    """Return the parts of an id; None for that of a batch or release. Raises `InvalidArgument` for a malformed one."""
    prefix, _, rest = text.partition(":")
    if prefix not in _PARTS:
        return None
    name, *parts = rest.split(":", _PARTS[prefix] - 1)
    if len(text) > MAX_ID_LENGTH or len(parts) + 1 != _PARTS[prefix]:
        raise _malformed(text)
    check_name(name, path=("id",))
    if prefix == "PriceList":
        return NodeId(name)
    return NodeId(name, _version(parts[0], text), parts[1] if prefix == "Price" else None)


def _version(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_VERSION_DIGITS and 1 <= int(digits) < 2**31):
        raise _malformed(text)
    return int(digits)


def _malformed(text: str) -> InvalidArgument:
    return InvalidArgument(f"{text[:100]!r} is not an id. Send an id exactly as the API returned it.", path=("id",))
