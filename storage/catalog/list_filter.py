"""The price lists that a caller may access: all of them, or some by name and by prefix."""

from dataclasses import dataclass

from storage.mongodb.connection import Document

_LAST_CHARACTER = "\U0010ffff"
"""A character that sorts after every character of a list name."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A set of price lists, by name; the lists need not exist."""

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
        """Return the query for documents whose `field` names a list of this set."""
        if self.everything:
            return {}
        ranges = [{field: {"$gte": prefix, "$lt": prefix + _LAST_CHARACTER}} for prefix in self.prefixes]
        return {"$or": [{field: {"$in": sorted(self.names)}}, *ranges]}


ALL_LISTS = ListFilter(everything=True)
NO_LISTS = ListFilter()
