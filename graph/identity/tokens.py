"""JSON Web Tokens (RFC 7519, RFC 9068): a signature of a known key, an issuer, an audience, a time."""

from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from graph.identity.callers import ANONYMOUS, Caller, Unauthenticated
from graph.identity.jwks import KeySet
from graph.identity.scopes import Grants

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What a token may be signed with: never a secret that whoever checks it would have to know, never nothing."""

LEEWAY_SECONDS = 30
"""By so much the clock of who issues tokens may be off."""

MAX_NAME = 200


class Tokens:
    """Checks tokens, and reads from them who calls and what they may do."""

    def __init__(self, keys: KeySet, issuer: str, audience: str, algorithms: Iterable[str]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._algorithms = [*algorithms]

    async def caller(self, token: str) -> Caller:
        """Return whom a token was issued to. Raises `Unauthenticated`."""
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated("The token is signed with a key that is not known here.")
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
            raise Unauthenticated("The token is not valid here.") from error
        return Caller(_name(claims["sub"]), Grants.known(_scopes(claims)), claims["exp"] + LEEWAY_SECONDS)


def _name(subject: str) -> str:
    # Nobody is to look like somebody without credentials, nor to fill the events.
    if subject == ANONYMOUS or not 0 < len(subject) <= MAX_NAME or not subject.isprintable():
        raise Unauthenticated("The token names nobody that can be told.")
    return subject


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes of a token: `scope`, as RFC 9068 has it, or `scp`, a text or a list."""
    given = claims.get("scope", claims.get("scp", ""))
    if isinstance(given, str):
        return given.split()
    return [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
