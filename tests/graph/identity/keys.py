"""Tokens for tests, and keys to sign them."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://login.example", "pricebook"


class Signer:
    """A key with an id."""

    def __init__(self, key_id: str | None, algorithm: str = "ES256") -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def jwk(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key."""
        kind = ECAlgorithm if self.algorithm == "ES256" else RSAAlgorithm
        public: dict[str, Any] = json.loads(kind.to_jwk(self.key.public_key()))
        return {**public, "alg": self.algorithm, "use": "sig", **({"kid": self.key_id} if self.key_id else {})}

    def token(self, *scopes: str, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token that is valid for a minute. `claims` override the defaults; None removes a claim."""
        all_claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": int(time.time()) + 60,
            "scope": " ".join(scopes),
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in all_claims.items() if value is not None},
            self.key,
            self.algorithm,
            headers={**({"kid": self.key_id} if self.key_id else {}), **(headers or {})},
        )


def write_keys(path: Path, *signers: Signer) -> Path:
    """Write a JSON Web Key Set."""
    path.write_text(json.dumps({"keys": [signer.jwk() for signer in signers]}))
    return path
