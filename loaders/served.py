"""How many processes answer by a revision of a pointer."""

from loaders.loading import Loader
from storage import Served, Store


class ServedLoader(Loader[tuple[str, int], Served]):
    """Loads, by (list, revision), how many living processes have come as far, in one round trip."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.processes.served)
