"""How many processes answer by a revision of a pointer."""

from strawberry.dataloader import DataLoader

from storage import Served, Store


class ServedLoader(DataLoader[tuple[str, int], Served]):
    """Loads, by (list, revision), how many living processes have come as far, in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.processes.served)
