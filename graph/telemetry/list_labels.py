"""The `price_list` label of metrics. The number of its values is limited, so that dashboards stay usable."""

MAX_LABELS = 200
"""Number of price lists with a label of their own."""

OTHER = "_other"
"""The common label of all other lists. It cannot be the name of a list, because names do not start with `_`."""


class ListLabels:
    """Assigns labels to price lists. The first `MAX_LABELS` lists get their name, all others share `OTHER`."""

    def __init__(self) -> None:
        self._labelled: set[str] = set()

    def has_own(self, name: str) -> bool:
        """Whether a list has a label of its own. Assigns one while labels are left."""
        if name not in self._labelled and len(self._labelled) < MAX_LABELS:
            self._labelled.add(name)
        return name in self._labelled

    def label(self, name: str) -> str:
        """Return the label of a list."""
        return name if self.has_own(name) else OTHER
