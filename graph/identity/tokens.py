"""JSON Web Tokens (RFC 7519, RFC 9068): verifies signature, issuer, audience and validity period."""

from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from graph.identity.callers import ANONYMOUS, Caller, Unauthenticated
from graph.identity.jwks import KeySet
from graph.identity.scopes import Grants

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The supported signature algorithms: no unsigned tokens, and no symmetric keys, with which verifiers could sign."""

LEEWAY_SECONDS = 30
"""Tolerance for clock skew of the issuer."""

MAX_NAME_LENGTH = 200
"""Limit of the subject of a token, in characters."""


class Tokens:
    """Verifies tokens, and returns the caller and the grants in them."""

    def __init__(self, keys: KeySet, issuer: str, audience: str, algorithms: Iterable[str]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._algorithms = [*algorithms]

    async def caller(self, token: str) -> Caller:
        """Return the caller of a token. Raises `Unauthenticated` if the token is invalid."""
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated("The signing key of the token is unknown.")
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired.") from error
        except PyJWTError as error:
            raise Unauthenticated("The token is not valid.") from error
        return Caller(_name(claims["sub"]), Grants.parse_valid(_scopes(claims)), claims["exp"] + LEEWAY_SECONDS)


def _name(subject: str) -> str:
    # The name appears in logs and events, and must differ from that of callers without credentials.
    if subject == ANONYMOUS or not 0 < len(subject) <= MAX_NAME_LENGTH or not subject.isprintable():
        raise Unauthenticated("The subject (`sub`) of the token is not a valid name.")
    return subject


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a token: `scope` (RFC 9068), or `scp`, which is a string or a list."""
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        return scopes.split()
    return [text for text in scopes if isinstance(text, str)] if isinstance(scopes, list) else []
