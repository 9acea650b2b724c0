"""The commands for operators: GraphQL documents sent over HTTP or, with --direct, executed in this process."""

from cli.ops import batches, completion, diff, events, lists, retention, rollback

COMMANDS = (
    lists.lists,
    lists.show,
    lists.snapshots,
    diff.diff,
    lists.history,
    rollback.rollback,
    rollback.pin,
    rollback.unpin,
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
