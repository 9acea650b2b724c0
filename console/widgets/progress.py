"""The progress of a batch while it comes in."""

from nicegui import ui

from console.client import Json
from console.widgets.parts import Text


class ProgressBar:
    """A bar with the number of prices stored, which `update` moves."""

    def __init__(self, batch: Json) -> None:
        with ui.element("div").classes("progress"):
            self._bar = ui.linear_progress(0.0, show_value=False, size="10px")
            self._bar.props["aria-label"] = f"Progress of a batch of {batch['priceList']}"
            self._text = Text("p", "").classes("note")
        self.update(batch)

    def update(self, batch: Json) -> None:
        """Show the progress that a batch has by now."""
        share = progress_share(batch)
        self._bar.set_value(share or 0.0)
        self._bar.props["indeterminate"] = share is None
        self._text.set_text(progress_text(batch))


def progress_share(batch: Json) -> float | None:
    """Return which part of a batch is stored, from 0 to 1; None if the number of expected prices is unknown."""
    progress = batch["progress"]
    if not progress["expected"]:
        return None
    return min(1.0, float(progress["stored"]) / float(progress["expected"]))


def progress_text(batch: Json) -> str:
    """Return the progress of a batch: `91,500 of 221,702 prices stored`."""
    progress = batch["progress"]
    expected = f" of {progress['expected']:,}" if progress["expected"] else ""
    received = f", {progress['received']:,} received" if progress["received"] > progress["stored"] else ""
    text = f"{progress['stored']:,}{expected} prices stored{received}"
    return f"{text}; sealing" if batch["state"] == "SEALING" else text
