"""Output for people: nothing that a terminal would interpret, and numbers with their nouns."""

import pytest

from cli.output import Column, Output, counted, print_fields, text


def test_control_characters_are_escaped_in_tables_fields_and_messages(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "red \x1b[31m\x07 \u202eback"
    shown = r"red \x1b[31m\x07 \u202eback"
    Output(as_json=False).rows([{"sku": bad}], [Column("SKU", lambda row: row["sku"])], "")
    print_fields([("label", bad), ("pin", None)])
    assert capsys.readouterr().out.splitlines() == ["SKU", shown, f"label  {shown}"]


def test_a_value_is_one_line_and_a_missing_one_is_a_hyphen() -> None:
    assert [text(value) for value in ("a\n b\tc", "é €", 0, "", None)] == ["a b c", "é €", "0", "-", "-"]


def test_fields_are_aligned_on_either_stream(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("List", "eu"), ("Versions", 3)], err=True)
    assert capsys.readouterr() == ("", "List      eu\nVersions  3\n")


@pytest.mark.parametrize(("number", "found"), [(0, "0 prices"), (1, "1 price"), (1500, "1,500 prices")])
def test_a_number_has_its_noun_in_the_singular_or_plural(number: int, found: str) -> None:
    assert counted(number, "price") == found
    assert counted(number, "batch", "batches").endswith("batch" if number == 1 else "batches")
