"""The door to storage: opens all of it once for a process. No logic."""

from storage.batches import Batches
from storage.events import Events
from storage.intake import Intake
from storage.layers import Layers
from storage.mongo import Client, connect, database, prepare
from storage.pointers import Pointers
from storage.publish import Publisher
from storage.snapshots import Snapshots


class Store:
    """Everything that is stored, by collection, and the acts on it."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.db = database(client, name)
        self.pointers = Pointers(self.db)
        self.snapshots = Snapshots(self.db)
        self.batches = Batches(self.db)
        self.layers = Layers(self.db)
        self.events = Events(self.db)
        self.publisher = Publisher(client, self.db)
        self.intake = Intake(self.pointers, self.batches, self.layers, self.publisher)

    @classmethod
    async def open(cls, uri: str, name: str) -> "Store":
        """Connect, and create what is missing. Raises `InvalidArgument`, `Unavailable`."""
        store = cls(await connect(uri), name)
        await prepare(store.db)
        return store

    async def ping(self) -> None:
        """Return when the primary answers; raises the driver's error otherwise."""
        await self.client.admin.command("ping")

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()
