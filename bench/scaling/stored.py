"""Stored documents: read past the service, and copied, which makes a thousand lists in the time of a few batches.

A copy is what the service has written, with other names and numbers, in the collection of its original.
"""

import copy
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from bson.objectid import ObjectId
from pymongo import MongoClient

from bench.servers import DATABASE

INSERTED_AT_ONCE = 5_000
CREATED_AT_ONCE = 8
"""Layers that are created at once: each waits for a majority."""

Document = dict[str, Any]


class Stored:
    """The documents of the benchmarks' database, for a context."""

    def __init__(self, uri: str) -> None:
        self._client = MongoClient[Document](uri)
        self.db = self._client[DATABASE]
        self._layers_db = self._client[f"{DATABASE}_layers"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._client.close()

    def layers(self, name: str) -> int:
        """Return the number of layers of the current version of a list."""
        version = self._found(self.db["price_lists"].find_one({"_id": name}))["version"]
        return len(self.manifest(name, version)[1]["layers"])

    def held(self, name: str) -> int:
        """Return the number of held batches of a list."""
        return self.db["batches"].count_documents({"list": name, "state": "HELD"})

    def batch(self, key: str) -> Document:
        """Return the batch of an idempotency key."""
        return self._found(self.db["batches"].find_one({"key": key}))

    def event(self, name: str) -> Document:
        """Return the newest event of a list."""
        return self._found(self.db["events"].find_one({"list": name}, sort=[("revision", -1)]))

    def manifest(self, name: str, version: int) -> tuple[str, Document]:
        """Return the manifest of a version, and the collection that has it."""
        for collection in self.db.list_collection_names():
            found = self.db[collection].find_one({"_id": {"list": name, "version": version}})
            if found is not None:
                return collection, found
        raise AssertionError(f"Version {version} of {name} has no manifest.")

    def set_last_version(self, name: str, version: int) -> None:
        """Set the highest version that a list has assigned."""
        self.db["price_lists"].update_one({"_id": name}, {"$set": {"lastVersion": version}})

    def copy_version(self, name: str, version: int, numbers: Iterable[int]) -> None:
        """Copy the manifest of a version to other numbers. The versions share the layers and the batch."""
        collection, manifest = self.manifest(name, version)
        self.insert(collection, ({**manifest, "_id": {"list": name, "version": number}} for number in numbers))

    def copy_list(self, template: str, names: Iterable[str]) -> None:
        """Copy a list with its versions, batches, events and layers."""
        documents = {collection: self._of_list(collection, template) for collection in self.db.list_collection_names()}
        batches = [each["_id"] for each in documents["batches"]]
        layers = [
            each for each in self._layers_db.list_collections() if any(batch in each["name"] for batch in batches)
        ]
        contents = {each["name"]: list(self._layers_db[each["name"]].find()) for each in layers}
        copies = [{template: name, **{batch: str(ObjectId()) for batch in batches}} for name in names]
        for layer in layers:
            new = [_renamed(layer["name"], renamed) for renamed in copies]
            self._create_layers(new, layer["options"], contents[layer["name"]])
        # Last, the pointers: a server that watches them finds the rest.
        for collection in sorted(documents, key=lambda each: each == "price_lists"):
            self.insert(collection, (_renamed(each, renamed) for renamed in copies for each in documents[collection]))

    def insert(self, collection: str, documents: Iterable[Document]) -> None:
        """Insert documents."""
        batch: list[Document] = []
        for document in documents:
            batch.append(document)
            if len(batch) == INSERTED_AT_ONCE:
                self.db[collection].insert_many(batch, ordered=False)
                batch = []
        if batch:
            self.db[collection].insert_many(batch, ordered=False)

    def copy_layer(self, batch: str, count: int) -> None:
        """Create layers with the content of that of a batch, which nothing names."""
        [layer] = [each for each in self._layers_db.list_collections() if batch in each["name"]]
        content = list(self._layers_db[layer["name"]].find())
        names = [_renamed(layer["name"], {batch: str(ObjectId())}) for _ in range(count)]
        self._create_layers(names, layer["options"], content)

    def _create_layers(self, names: Iterable[str], options: Mapping[str, Any], content: list[Document]) -> None:
        def create(name: str) -> None:
            collection = self._layers_db.create_collection(name, check_exists=False, **options)
            collection.insert_many(content, bypass_document_validation=True)

        with ThreadPoolExecutor(CREATED_AT_ONCE) as pool:
            for _ in pool.map(create, names):
                pass

    def _of_list(self, collection: str, name: str) -> list[Document]:
        return list(self.db[collection].find({"$or": [{"_id": name}, {"_id.list": name}, {"list": name}]}))

    @staticmethod
    def _found(document: Document | None) -> Document:
        if document is None:
            raise AssertionError("A document of the benchmark is missing.")
        return document


def _renamed(value: Any, renamed: Mapping[str, str]) -> Any:
    """Return a value with other names in all of its strings, and with a new `ObjectId` for each of its own."""
    if isinstance(value, dict):
        return {key: _renamed(each, renamed) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, renamed) for each in value]
    if isinstance(value, ObjectId):
        return ObjectId()
    if not isinstance(value, str):
        return copy.copy(value)
    for name, other in renamed.items():
        value = value.replace(name, other)
    return value
