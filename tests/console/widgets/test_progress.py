"""The progress of a batch in numbers."""

from console.client import Json
from console.widgets.progress import progress_share, progress_text


def batch(received: int, stored: int, expected: int | None, state: str = "OPEN") -> Json:
    return {"state": state, "progress": {"received": received, "stored": stored, "expected": expected}}


def test_the_share_is_what_is_stored_of_what_is_expected() -> None:
    assert progress_share(batch(80, 50, 100)) == 0.5
    assert progress_share(batch(120, 120, 100)) == 1.0


def test_without_an_expected_number_there_is_no_share() -> None:
    assert progress_share(batch(80, 50, None)) is None
    assert progress_share(batch(0, 0, 0)) is None


def test_the_text_has_what_was_received_and_is_not_stored_yet() -> None:
    assert progress_text(batch(91_500, 91_500, 221_702)) == "91,500 of 221,702 prices stored"
    assert progress_text(batch(80, 50, None)) == "50 prices stored, 80 received"
    assert progress_text(batch(9, 9, 9, "SEALING")) == "9 of 9 prices stored; sealing"
