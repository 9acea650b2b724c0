"""The states of a batch, and which may follow which.

OPEN ──────► SEALING ──► HELD ──► PUBLISHED
  │             │  │       └────► REJECTED
  │             │  └────────────► PUBLISHED, REJECTED
  ├─► ABORTED   └─► FAILED, ABORTED (a dry run)
  └─► FAILED
"""

from enum import StrEnum


class BatchState(StrEnum):
    """Where a batch stands. What is not in `UNFINISHED` never changes again."""

    OPEN = "OPEN"
    SEALING = "SEALING"
    HELD = "HELD"
    PUBLISHED = "PUBLISHED"
    REJECTED = "REJECTED"
    ABORTED = "ABORTED"
    FAILED = "FAILED"


FOLLOWS: dict[BatchState, frozenset[BatchState]] = {
    BatchState.OPEN: frozenset({BatchState.SEALING, BatchState.ABORTED, BatchState.FAILED}),
    BatchState.SEALING: frozenset(
        {BatchState.HELD, BatchState.PUBLISHED, BatchState.REJECTED, BatchState.FAILED, BatchState.ABORTED}
    ),
    BatchState.HELD: frozenset({BatchState.PUBLISHED, BatchState.REJECTED}),
    BatchState.PUBLISHED: frozenset(),
    BatchState.REJECTED: frozenset(),
    BatchState.ABORTED: frozenset(),
    BatchState.FAILED: frozenset(),
}

# A process is at work on these, or must take them over.
IN_PROGRESS = frozenset({BatchState.OPEN, BatchState.SEALING})
