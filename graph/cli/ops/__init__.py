"""The commands of ops, by GraphQL documents: over HTTP, or with --direct upon MongoDB itself."""

from graph.cli.ops import batches, completion, diff, events, lists, moves, retention

COMMANDS = (
    lists.lists,
    lists.show,
    lists.snapshots,
    diff.diff,
    lists.history,
    moves.rollback,
    moves.pin,
    moves.unpin,
    batches.batches,
    batches.batch,
    batches.approve,
    batches.reject,
    events.events,
    retention.retain,
    retention.restore,
    completion.completion,
)

__all__ = ["COMMANDS"]
