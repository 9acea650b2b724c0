"""The cache of callers is bounded by bytes, whatever credentials are sent."""

import tracemalloc
from pathlib import Path
from typing import cast

import pytest

from graph.identity import authenticator as module
from graph.identity.authenticator import Authenticator
from graph.identity.callers import Unauthenticated
from graph.identity.jwks import KeySet
from graph.identity.tokens import Tokens
from storage import ApiKeyRepository
from tests.graph.api import ANYBODY
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys

SIGNER = Signer("one")

CAPACITY = 200_000


@pytest.fixture
def authenticator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    """An authenticator of tokens with a small cache."""
    monkeypatch.setattr(module, "MAX_CALLER_CACHE_BYTES", CAPACITY)
    tokens = Tokens(KeySet(str(write_keys(tmp_path / "keys.json", SIGNER))), ISSUER, AUDIENCE, ["ES256"])
    return Authenticator(ANYBODY, cast("ApiKeyRepository", None), tokens)


def bearer(token: str, spaces: int = 1) -> bytes:
    return b"Bearer" + b" " * spaces + token.encode()


async def test_a_token_in_many_spellings_fills_no_more_than_the_cache(authenticator: Authenticator) -> None:
    token = SIGNER.token("prices:read")
    tracemalloc.start()
    for spaces in range(7000, 7300):
        await authenticator.identify(bearer(token, spaces))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert authenticator.cached(bearer(token, 7299)) is not None
    assert authenticator.cached(bearer(token, 7000)) is None
    assert used < 2 * CAPACITY


async def test_the_grants_of_a_caller_count_as_well(authenticator: Authenticator) -> None:
    await authenticator.identify(bearer(SIGNER.token("prices:read")))
    before = authenticator._callers.weight
    credentials = bearer(SIGNER.token(*(f"admin:{number}" for number in range(300))))
    tracemalloc.start()
    await authenticator.identify(credentials)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    weight = authenticator._callers.weight - before
    assert used / 2 < weight < used * 2


@pytest.mark.parametrize("length", [8193, 1 << 20])
async def test_credentials_that_are_too_long_are_refused_before_anything_is_done_with_them(
    authenticator: Authenticator, length: int
) -> None:
    credentials = bearer("a" * (length - len("Bearer ")))
    with pytest.raises(Unauthenticated, match="too long"):
        await authenticator.identify(credentials)
    assert len(authenticator._callers) == 0


async def test_credentials_just_within_the_limit_are_accepted(authenticator: Authenticator) -> None:
    token = SIGNER.token("prices:read")
    credentials = bearer(token, 8192 - len("Bearer") - len(token))
    assert len(credentials) == 8192
    assert (await authenticator.identify(credentials)).name == "ada"
    assert authenticator.cached(credentials) is not None
