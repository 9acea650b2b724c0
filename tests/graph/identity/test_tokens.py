"""Tokens: accepted only with a signature of the key set, our audience and issuer, and a current validity period."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from graph.identity.callers import Unauthenticated
from graph.identity.jwks import KeySet
from graph.identity.scopes import Grants
from graph.identity.tokens import Tokens
from tests.graph.identity.keys import AUDIENCE, ISSUER, Signer, write_keys

SIGNER = Signer("one")


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(KeySet(str(write_keys(tmp_path / "keys.json", SIGNER))), ISSUER, AUDIENCE, ["ES256", "RS256"])


async def test_a_token_contains_the_caller_their_grants_and_the_expiry(tokens: Tokens) -> None:
    expires = int(time.time()) + 100
    caller = await tokens.caller(SIGNER.token("prices:read", "batches:write:shop", "openid", exp=expires))
    assert caller.name == "ada"
    assert caller.grants == Grants.parse(["prices:read", "batches:write:shop"])
    assert caller.expires_at is not None
    assert expires <= caller.expires_at <= expires + 60


@pytest.mark.parametrize("claims", [{"scope": None, "scp": ["admin", 7]}, {"scope": None, "scp": "admin"}])
async def test_scopes_may_also_be_in_scp(tokens: Tokens, claims: dict[str, Any]) -> None:
    assert (await tokens.caller(SIGNER.token(**claims))).grants == Grants.parse(["admin"])


async def test_a_token_without_scopes_grants_nothing(tokens: Tokens) -> None:
    assert not (await tokens.caller(SIGNER.token(scope=None))).has_grants


def unsigned() -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": 2**33, "scope": "admin"}
    return jwt.encode(claims, "", "none")


def signed_with_the_public_key() -> str:
    """Return a token signed with HS256 and the public key as the secret: an attack on verifiers that trust `alg`."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": 2**33, "scope": "admin"}
    public_key = SIGNER.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return jwt.encode(claims, public_key, "HS256", headers={"kid": "one"})


def with_other_claims() -> str:
    header, _, signature = SIGNER.token("prices:read").split(".")
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": 2**33, "scope": "admin"}
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b.c",
        "..",
        "\x00",
        SIGNER.token("admin")[:-2],
        SIGNER.token("admin", exp=1),
        SIGNER.token("admin", exp=None),
        SIGNER.token("admin", nbf=2**33),
        SIGNER.token("admin", iss="https://login.evil"),
        SIGNER.token("admin", iss=None),
        SIGNER.token("admin", aud="other"),
        SIGNER.token("admin", aud=None),
        SIGNER.token("admin", sub=None),
        SIGNER.token("admin", sub=""),
        SIGNER.token("admin", sub="anonymous"),
        SIGNER.token("admin", sub="a\nb"),
        SIGNER.token("admin", sub="x" * 300),
        SIGNER.token("admin", headers={"kid": "two"}),
        Signer("one").token("admin"),
        Signer("one", "RS256").token("admin"),
        Signer(None).token("admin"),
        unsigned(),
        signed_with_the_public_key(),
        with_other_claims(),
    ],
)
async def test_any_other_token_is_rejected_without_revealing_the_configuration(tokens: Tokens, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await tokens.caller(token)
    assert caught.value.code == "UNAUTHENTICATED"
    assert ISSUER not in caught.value.message


async def test_an_algorithm_that_is_not_accepted_is_rejected(tmp_path: Path) -> None:
    signer = Signer("rsa", "RS256")
    keys = str(write_keys(tmp_path / "keys.json", signer))
    assert (await Tokens(KeySet(keys), ISSUER, AUDIENCE, ["RS256"]).caller(signer.token("admin"))).name == "ada"
    with pytest.raises(Unauthenticated):
        await Tokens(KeySet(keys), ISSUER, AUDIENCE, ["ES256"]).caller(signer.token("admin"))


async def test_the_only_key_needs_no_id(tmp_path: Path) -> None:
    signer = Signer(None)
    keys = str(write_keys(tmp_path / "keys.json", signer))
    assert (await Tokens(KeySet(keys), ISSUER, AUDIENCE, ["ES256"]).caller(signer.token("admin"))).name == "ada"
