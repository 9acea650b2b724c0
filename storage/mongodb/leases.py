"""Leases: who works on a document, and until when. The server's clock decides, not a process's.

A lease is the sub-document `lease: {owner, token, until}`. Each acquisition mints a new token, and every write of
the holder matches it, so that a worker that stalled and comes back changes nothing.
"""

import os
import secrets
import socket
from typing import Any

# How long a holder may be silent before another process takes over, and how often it renews, in seconds.
LEASE_SECONDS = 12
RENEW_INTERVAL_SECONDS = 3

OWNER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

EXPIRED: dict[str, Any] = {"$expr": {"$lt": ["$lease.until", "$$NOW"]}}

_UNTIL = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": LEASE_SECONDS}}


def acquire() -> dict[str, Any]:
    """Return the stage of an update that takes the lease with a new token, one above the last."""
    token = {"$add": [{"$ifNull": ["$lease.token", 0]}, 1]}
    return {"$set": {"lease": {"owner": {"$literal": OWNER}, "token": token, "until": _UNTIL}}}


def renew() -> dict[str, Any]:
    """Return the stage of an update that prolongs the lease."""
    return {"$set": {"lease.until": _UNTIL}}


def release() -> dict[str, Any]:
    """Return the stage of an update that lets anyone take the lease at once."""
    return {"$set": {"lease.until": "$$NOW"}}
