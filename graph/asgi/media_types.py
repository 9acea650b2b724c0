"""The media types of the GraphQL-over-HTTP specification, and content negotiation."""

from graph.asgi.short_cache import cache_short

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MULTIPART = "multipart/form-data"
EVENTS = "text/event-stream"


@cache_short
def accepted_media_type(accept: str) -> str | None:
    """Return the media type of the response that an `Accept` header prefers; None if it accepts neither."""
    if not accept.strip():
        return JSON
    for media_type, weight in sorted(map(_parse_entry, accept.split(",")), key=lambda entry: -entry[1]):
        if weight <= 0:
            continue
        if media_type in (GRAPHQL_RESPONSE, JSON):
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    return None


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
