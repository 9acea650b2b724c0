"""Content negotiation."""

import pytest

from graph.asgi.media_types import GRAPHQL_RESPONSE, JSON, Accepted, accepted_media_types


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        ("", Accepted(JSON, events=False)),
        ("*/*", Accepted(JSON, events=False)),
        ("text/html", Accepted(None, events=False)),
        ("text/event-stream", Accepted(None, events=True)),
        ("text/event-stream;q=0", Accepted(None, events=False)),
        ("text/event-stream, application/json", Accepted(JSON, events=True)),
        (f"{JSON};q=0.5, {GRAPHQL_RESPONSE}", Accepted(GRAPHQL_RESPONSE, events=False)),
        (f'{JSON};p="text/event-stream"', Accepted(JSON, events=False)),
        (f"{JSON};q=nope", Accepted(None, events=False)),
    ],
)
def test_the_media_types_of_a_client_are_compared_with_their_weights(accept: str, accepted: Accepted) -> None:
    assert accepted_media_types(accept) == accepted
