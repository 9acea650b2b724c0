"""Which price lists someone may reach: all of them, some by name, some by how their names begin."""

from dataclasses import dataclass

from storage.mongodb.connection import Document

LAST = "\U0010ffff"
"""Sorts behind every character that the name of a list can have."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A set of lists, by name; also of those that there are not yet."""

    everything: bool = False
    names: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def __contains__(self, name: object) -> bool:
        return self.everything or name in self.names or (isinstance(name, str) and name.startswith(self.prefixes))

    def __or__(self, other: "ListFilter") -> "ListFilter":
        return ListFilter(
            self.everything or other.everything,
            self.names | other.names,
            tuple(sorted({*self.prefixes, *other.prefixes})),
        )

    def query(self, field: str) -> Document:
        """Return the query for documents whose `field` names a list within reach."""
        if self.everything:
            return {}
        ranges = [{field: {"$gte": prefix, "$lt": prefix + LAST}} for prefix in self.prefixes]
        return {"$or": [{field: {"$in": sorted(self.names)}}, *ranges]}


ALL_LISTS = ListFilter(everything=True)
