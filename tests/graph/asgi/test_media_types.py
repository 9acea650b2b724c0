"""Content negotiation."""

import pytest

from graph.asgi.media_types import GRAPHQL_RESPONSE, JSON, Accepted, accepted_media_types

URQL = f"{GRAPHQL_RESPONSE}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed"
EXECUTOR_HTTP = f"{GRAPHQL_RESPONSE}, {JSON}, multipart/mixed"
APOLLO = f"{GRAPHQL_RESPONSE},{JSON};q=0.9"


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
        (f"*/*, {JSON};q=0", Accepted(GRAPHQL_RESPONSE, events=False)),
        (f"*/*, {JSON};q=0, {GRAPHQL_RESPONSE};q=0", Accepted(None, events=False)),
        (f"text/event-stream, {JSON};q=0.1", Accepted(JSON, events=True)),
        (f"text/event-stream, {JSON};q=0", Accepted(None, events=True)),
        pytest.param(URQL, Accepted(GRAPHQL_RESPONSE, events=True), id="urql and gql.tada"),
        pytest.param(EXECUTOR_HTTP, Accepted(GRAPHQL_RESPONSE, events=False), id="executor-http"),
        pytest.param(APOLLO, Accepted(GRAPHQL_RESPONSE, events=False), id="Apollo Client"),
    ],
)
def test_the_media_types_of_a_client_are_compared_with_their_weights(accept: str, accepted: Accepted) -> None:
    assert accepted_media_types(accept) == accepted
