"""The gates and the retention of a price list in sentences, on its page."""

from nicegui import ui

from console.client import Json
from console.widgets.parts import Text, section


def show_settings(gates: Json, retention: Json) -> None:
    """Show what holds or rejects a batch of a list, and what keeps a version."""
    with ui.element("div").classes("columns"):
        with section("Gates"):
            _sentences(gate_sentences(gates) or ["No gates: a valid batch is published at once."])
        with section("Retention"):
            _sentences(retention_sentences(retention))


def gate_sentences(gates: Json) -> list[str]:
    """Return a sentence for each gate that is set."""
    sentences = {
        "maxShrinkPercent": "Holds a batch that removes more than {} % of the prices.",
        "maxChangedPercent": "Holds a batch that changes more than {} % of the prices.",
        "maxPriceChangePercent": "Holds a batch that raises or lowers an amount by more than {} %.",
        "minSize": "Rejects a batch that leaves fewer than {} prices.",
    }
    set_gates = [text.format(gates[name]) for name, text in sentences.items() if gates[name] is not None]
    if gates["allowedCurrencies"] is not None:
        set_gates.append(f"Rejects a batch with other currencies than {', '.join(gates['allowedCurrencies'])}.")
    return set_gates


def retention_sentences(retention: Json) -> list[str]:
    """Return what keeps a version: the rules of the list, and those of every list."""
    days, thin = f"{retention['days']:,} days after it was last current", ""
    if retention["thin"]:
        thin = " With age it keeps the last of each hour after a day, and the last of each day after a week."
    return [
        f"Keeps the newest {retention['versions']:,} versions.",
        f"Keeps a version for {days}.{thin}",
        "Always keeps the current version, and one that is marked to be kept.",
    ]


def _sentences(sentences: list[str]) -> None:
    with ui.element("ul").classes("sentences"):
        for sentence in sentences:
            Text("li", sentence)
