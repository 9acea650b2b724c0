"""Secrets of callers, such as API keys: random, shown once, and stored only as a hash."""

import hashlib
import secrets

_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new secret of 256 random bits, in 43 characters of a URL."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_secret(secret: str) -> str:
    """Return the hash of a secret. It needs no salt and no slow hash: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
