"""Leases: which process works on a document, and until when, by the server's clock.

A lease is the sub-document `lease: {owner, token, until}`. Each acquisition issues a new token. Every write of the
holder matches its token, so a worker that stalled and resumes after another one took over changes nothing.
"""

import os
import secrets
import socket
from typing import Any

LEASE_SECONDS = 12
"""Time without renewal after which another process may take over a lease."""

RENEW_INTERVAL_SECONDS = 3
"""Time between two renewals by the holder, and how long each is awaited."""

RELEASE_TIMEOUT_SECONDS = 1.0
"""How long to wait until a release is acknowledged. The primary applies it at once, and an unreleased lease expires."""

OWNER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
"""The name of this process in its leases: host, process id and a random part."""

EXPIRED: dict[str, Any] = {"$expr": {"$lt": ["$lease.until", "$$NOW"]}}
"""A query for documents whose lease has expired."""

HELD: dict[str, Any] = {"$expr": {"$gte": ["$lease.until", "$$NOW"]}}
"""A query for documents whose lease has not expired."""

_UNTIL = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": LEASE_SECONDS}}


def acquire() -> dict[str, Any]:
    """Return the update stage that takes the lease with a new token, one above the last."""
    token = {"$add": [{"$ifNull": ["$lease.token", 0]}, 1]}
    return {"$set": {"lease": {"owner": {"$literal": OWNER}, "token": token, "until": _UNTIL}}}


def renew() -> dict[str, Any]:
    """Return the update stage that extends the lease."""
    return {"$set": {"lease.until": _UNTIL}}


def release() -> dict[str, Any]:
    """Return the update stage that ends the lease, so that any process can take it at once."""
    return {"$set": {"lease.until": "$$NOW"}}
