"""The media types of the GraphQL-over-HTTP specification, and which of them a request speaks."""

from functools import lru_cache

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MULTIPART = "multipart/form-data"
EVENTS = "text/event-stream"


@lru_cache(maxsize=256)
def accepted_media_type(accept: str) -> str | None:
    """Return the media type to answer in, the preferred of what the client accepts; None where it is neither."""
    if not accept.strip():
        return JSON
    for entry in sorted(map(_weighed, accept.split(",")), key=lambda weighed: -weighed[1]):
        media_type, weight = entry
        if weight <= 0:
            continue
        if media_type in (GRAPHQL_RESPONSE, JSON):
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    return None


def _weighed(entry: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media_type, float(weight)
    except ValueError:
        return media_type, 0.0


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether a body is said to be JSON, whatever its charset."""
    return content_type.partition(";")[0].strip().lower() == JSON


@lru_cache(maxsize=256)
def is_utf_8(content_type: str) -> bool:
    """Whether a body is in UTF-8, which it is where nothing is said."""
    parameters = content_type.partition(";")[2].lower()
    return "charset" not in parameters or "utf-8" in parameters
