"""The media types of the GraphQL-over-HTTP specification, and content negotiation."""

from functools import lru_cache
from typing import NamedTuple

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MULTIPART = "multipart/form-data"
EVENTS = "text/event-stream"

_JSON_BY_RANGE = {GRAPHQL_RESPONSE: GRAPHQL_RESPONSE, JSON: JSON, "*/*": JSON, "application/*": JSON}


MAX_CACHED_LENGTH = 256
"""Number of characters of a header that is cached; clients choose them, and send few different ones."""

_CACHED_HEADERS = 256


class Accepted(NamedTuple):
    """What a client accepts: the media type of a JSON response, None for neither, and whether an event stream."""

    json: str | None
    events: bool


def accepted_media_types(accept: str) -> Accepted:
    """Return what an `Accept` header accepts, by the weights (`q`) and then the order of its entries."""
    return _cached_accepted(accept) if len(accept) <= MAX_CACHED_LENGTH else _accepted(accept)


def is_utf_8_json(content_type: str) -> bool:
    """Whether a body is JSON in UTF-8, its default charset."""
    return is_json(content_type) and is_utf_8(content_type)


def is_json(content_type: str) -> bool:
    """Whether a body is JSON, in any charset."""
    return content_type.partition(";")[0].strip().lower() == JSON


def is_utf_8(content_type: str) -> bool:
    """Whether a body is in UTF-8, which is the default."""
    parameters = content_type.partition(";")[2].lower()
    return "charset" not in parameters or "utf-8" in parameters


def _accepted(accept: str) -> Accepted:
    if not accept.strip():
        return Accepted(JSON, events=False)
    entries = sorted(map(_parse_entry, accept.split(",")), key=lambda entry: -entry[1])
    media_types = [media_type for media_type, weight in entries if weight > 0]
    json = next((_JSON_BY_RANGE[media_type] for media_type in media_types if media_type in _JSON_BY_RANGE), None)
    return Accepted(json, EVENTS in media_types)


_cached_accepted = lru_cache(_CACHED_HEADERS)(_accepted)


def _parse_entry(entry: str) -> tuple[str, float]:
    media_type, *parameters = (parameter.strip().lower() for parameter in entry.split(";"))
    weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return media_type, float(weight)
    except ValueError:
        return media_type, 0.0
