"""The states of a batch, and the transitions between them.

OPEN ──────► SEALING ──► HELD ──► PUBLISHED
  │             │  │       └────► REJECTED
  │             │  └────────────► PUBLISHED, REJECTED
  ├─► ABORTED   └─► FAILED, ABORTED (a dry run)
  └─► FAILED
"""

from enum import StrEnum


class BatchState(StrEnum):
    """The state of a batch. States that nothing follows in `FOLLOWS` are final."""

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
"""The states that may follow each state."""

IN_PROGRESS = frozenset({BatchState.OPEN, BatchState.SEALING})
"""States in which a process works on a batch, or must take it over."""

UNFINISHED = IN_PROGRESS | {BatchState.HELD}
"""States that are not final."""

DISCARDED_STATES = frozenset({BatchState.FAILED, BatchState.ABORTED, BatchState.REJECTED})
"""Final states of batches that were not published. Their layers are named by no manifest that can be read."""
