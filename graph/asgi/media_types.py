"""The media types of the GraphQL-over-HTTP specification, and content negotiation."""

from typing import NamedTuple

from graph.asgi.short_cache import cache_short

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MULTIPART = "multipart/form-data"
EVENTS = "text/event-stream"

_ANY = (JSON, GRAPHQL_RESPONSE)
_JSON_BY_RANGE = {GRAPHQL_RESPONSE: (GRAPHQL_RESPONSE,), JSON: (JSON,), "*/*": _ANY, "application/*": _ANY}


class Accepted(NamedTuple):
    """What a client accepts: the media type of a JSON response, or None, and whether event streams."""

    json: str | None
    events: bool


@cache_short
def accepted_media_types(accept: str) -> Accepted:
    """Return what an `Accept` header accepts, by the weights (`q`) and then the order of its entries."""
    if not accept.strip():
        return Accepted(JSON, events=False)
    entries = sorted(map(_parse_entry, accept.split(",")), key=lambda entry: -entry[1])
    accepted = [media_type for media_type, weight in entries if weight > 0]
    refused = {media_type for media_type, weight in entries if weight <= 0}
    matches = (media_type for entry in accepted for media_type in _JSON_BY_RANGE.get(entry, ()))
    return Accepted(next((media_type for media_type in matches if media_type not in refused), None), EVENTS in accepted)


def _parse_entry(entry: str) -> tuple[str, float]:
    media_type, *parameters = (parameter.strip().lower() for parameter in entry.split(";"))
    weight = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
    try:
        return media_type, float(weight)
    except ValueError:
        return media_type, 0.0


@cache_short
def is_json(content_type: str) -> bool:
    """Whether a body is JSON, in any charset."""
    return content_type.partition(";")[0].strip().lower() == JSON


@cache_short
def is_utf_8(content_type: str) -> bool:
    """Whether a body is in UTF-8, which is the default."""
    parameters = content_type.partition(";")[2].lower()
    return "charset" not in parameters or "utf-8" in parameters
