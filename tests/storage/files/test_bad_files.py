"""The bad files of docs/file-errors.md have the errors that the page shows, and every code is on the page.

A block of the page has the name of a file, in parentheses how it is stored if not as UTF-8, its content and its errors.
"""

import bz2
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.files.errors import FileRefused
from storage.files.line_blocks import MAX_LINE_BYTES
from tests.storage.reading import read

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "file-errors.md").read_text(encoding="utf-8")

STORED: dict[str, Callable[[str], bytes]] = {
    "": str.encode,
    "Latin-1": lambda text: text.encode("latin-1"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "with CR": lambda text: text.encode().replace(b"\n", b"\r"),
    "gzip": lambda text: gzip.compress(text.encode(), mtime=0),
    "gzip, cut off": lambda text: gzip.compress(text.encode(), mtime=0)[:-12],
    "gzip, twice": lambda text: gzip.compress(gzip.compress(text.encode(), mtime=0), mtime=0),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "Excel": lambda text: b"PK\x03\x04\x14\0\x06\0xl/workbook.xml" + text.encode(),
    "1 MiB more": lambda text: text.encode().rstrip() + b"x" * MAX_LINE_BYTES,
}
"""How files are stored."""

Example = tuple[str, str, bytes, list[str]]
"""A title, the name and content of a file, and its errors."""


def examples() -> Iterator[Example]:
    for title, block in re.findall(r"^([^\n]+):\n\n```text\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL):
        head, *content_and_errors = block.rstrip("\n").split("\n")
        name, _, stored = head.removesuffix(")").partition(" (")
        end = content_and_errors.index("")
        content = "".join(f"{line[2:]}\n" for line in content_and_errors[:end]).replace("\\t", "\t")
        yield title, name, STORED[stored](content.replace("\\ufeff", "\ufeff")), content_and_errors[end + 1 :]


def shown(name: str, content: bytes) -> list[str]:
    """Return the errors of a file, as the page shows them."""
    try:
        errors = read(name, content).errors
    except FileRefused as refused:
        return [f"file: {refused.code}", f"  {refused.message}"]
    lines = []
    for error in errors:
        lines += [f"line {error.line}, {error.field or 'all'}: {error.code}", f"  {error.message}"]
    return lines


EXAMPLES = list(examples())


@pytest.mark.parametrize(
    ("name", "content", "errors"), [each[1:] for each in EXAMPLES], ids=[each[0] for each in EXAMPLES]
)
def test_a_bad_file_is_named_as_what_it_is_with_what_to_do(name: str, content: bytes, errors: list[str]) -> None:
    assert shown(name, content) == errors


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("prices", ".prices[]"),
        ("_items2", "._items2[]"),
        ("price-list", ".[][]"),
        ("2026", ".[][]"),
        ("a'b", ".[][]"),
        ("a`b", ".[][]"),
        ("Größen", ".[][]"),
    ],
)
@pytest.mark.parametrize(
    "template", ['{"NAME": [{"sku": "A"}, {"sku": "B"}]}', '{\n  "NAME": [\n    {"sku": "A"}\n  ]\n}']
)
def test_the_command_for_an_array_within_an_object_takes_the_items_of_the_array(
    template: str, name: str, command: str
) -> None:
    [code, message] = shown("p.ndjson", template.replace("NAME", name).encode())
    assert code == "file: WRONG_FORMAT"
    assert message.startswith("  The file is one JSON object with an array in it. ")
    assert message.endswith(f": `jq -c '{command}'` does so.")


def test_every_code_is_on_the_page() -> None:
    modules = {*(ROOT / "storage" / "prices").glob("*.py"), *(ROOT / "storage" / "files").glob("*.py")}
    modules -= {ROOT / "storage" / "prices" / "selection.py"}  # its enums look like codes
    source = "".join(module.read_text(encoding="utf-8") for module in modules)
    codes = set(re.findall(r'"([A-Z]+(?:_[A-Z0-9]+)+)"', source))
    assert len(codes) > 30
    assert [code for code in sorted(codes) if code not in PAGE] == []
    assert len(EXAMPLES) > 60


def test_messages_repeat_little_of_what_was_sent() -> None:
    long = "x" * 100_000
    files = [
        ("p.csv", f"sku,amount,currency\n{long},{long},{long}\n"),
        ("p.csv", f"sku,{long}\n"),
        ("p.ndjson", json.dumps({"sku": "A", "amount": long, "currency": long, "validFrom": long, long: 1})),
    ]
    for name, content in files:
        messages = shown(name, content.encode())[1::2]
        assert messages
        assert all(len(message) < 250 for message in messages)


def test_an_item_has_a_limited_number_of_errors() -> None:
    fields = {f"field{number}": 1 for number in range(1000)}
    tiers = [{"minQuantity": 0, "amount": "x"}] * 100
    for row in (fields, {"sku": "A", "amount": "1", "currency": "EUR", "tiers": tiers}):
        assert len(read("p.ndjson", json.dumps(row).encode()).errors) == 10
