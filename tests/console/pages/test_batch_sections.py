"""The rows of the errors of a batch."""

from console.pages.batch_sections import error_row


def test_an_error_without_a_sku_or_a_line_has_blank_cells() -> None:
    error = {"cursor": "c", "index": 0, "line": None, "sku": None, "field": None, "code": "NOT_JSON", "message": "No."}
    row = error_row(error)
    assert (row["index"]["text"], row["line"]["text"], row["sku"]["text"]) == ("0", "", "")
    assert row["problem"] == {"text": "No.", "note": "NOT_JSON"}
