"""The paths of pages, for links. Names, skus and ids are quoted."""

from urllib.parse import quote, urlencode


def list_path(name: str) -> str:
    """Return the path of a price list."""
    return f"/lists/{quote(name, safe='')}"


def compare_path(name: str, from_version: int, to_version: int, prefix: str = "") -> str:
    """Return the path of the comparison of two versions, of skus with a prefix or of all."""
    query: dict[str, object] = {"from": from_version, "to": to_version}
    if prefix:
        query["prefix"] = prefix
    return f"{list_path(name)}/compare?{urlencode(query)}"


def sku_path(name: str, sku: str, days: int | None = None) -> str:
    """Return the path of a sku of a price list, with the prices of a number of days."""
    query: dict[str, object] = {"sku": sku}
    if days is not None:
        query["days"] = days
    return f"{list_path(name)}/sku?{urlencode(query)}"


def review_path(name: str) -> str:
    """Return the path of the held batches of a price list."""
    return f"/review?{urlencode({'list': name})}"


def batch_path(batch_id: str) -> str:
    """Return the path of a batch."""
    return f"/batches/{quote(batch_id, safe='')}"


def release_path(release_id: str) -> str:
    """Return the path of a release."""
    return f"/releases/{quote(release_id, safe='')}"
