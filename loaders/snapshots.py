"""Manifests by (list, version)."""

from strawberry.dataloader import DataLoader

from storage import Snapshot, Store

SnapshotKey = tuple[str, int]


class SnapshotLoader(DataLoader[SnapshotKey, Snapshot | None]):
    """Loads the manifests that a request asks for in one round trip; None where there is no such version."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.snapshots.get_many)
