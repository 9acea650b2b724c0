"""The label `price_list`: as many values as there are lists, and never more than a dashboard can show."""

MAX_LABELS = 200
"""So many lists have metrics of their own."""

OTHER = "_other"
"""The label of all further lists together. No list has this name by itself: `_` cannot begin one."""


class ListLabels:
    """Gives the first lists that are asked for labels of their own."""

    def __init__(self) -> None:
        self._own: set[str] = set()

    def own(self, name: str) -> bool:
        """Whether a list has a label of its own."""
        if name not in self._own and len(self._own) < MAX_LABELS:
            self._own.add(name)
        return name in self._own

    def of(self, name: str) -> str:
        """Return the label of a list."""
        return name if self.own(name) else OTHER
