"""The beginning of a file shows whether it is what its name promises. A file that is not is refused as a whole."""

import re
from collections.abc import AsyncIterator

from storage.files.errors import WrongFormat

HEAD_BYTES = 4096
"""Number of bytes, decompressed, that are looked at."""

_KINDS = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)", "Save the sheet as 'CSV UTF-8 (Comma delimited)'"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", "Save the sheet as 'CSV UTF-8 (Comma delimited)'"),
    (b"\x1f\x8b", "compressed with gzip inside", "Compress it once"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd inside", "Compress it once"),
    (b"BZh", "compressed with bzip2", "Use gzip or zstd"),
    (b"\xfd7zXZ", "compressed with xz", "Use gzip or zstd"),
    (b"%PDF", "a PDF document", "Send the data as NDJSON or CSV"),
    (b"PAR1", "a Parquet file", "Convert it to NDJSON or CSV"),
)
"""By its first bytes: what a file is, and what to do."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_markup = re.compile(rb"<(!doctype|html|\?xml)", re.IGNORECASE).match
_cr_ends = re.compile(rb"[^\r]\r+[^\r\n]").search
_cr_between_objects = re.compile(rb"\}[ \t]*\r+[ \t]*\{").search
_header = re.compile(rb'["\']?(?:sku|amount|currency)["\']?[ \t]*[,;\t|]', re.IGNORECASE).search
_open_object = re.compile(rb"\{[ \t]*\r?\n").match
_wrapped = re.compile(rb'\{\s*"(?!tiers")([^"\n]{1,100})"\s*:\s*\[\s*\{').match
_identifier = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*").fullmatch


async def with_checked_head(pieces: AsyncIterator[bytes], suffix: str) -> AsyncIterator[bytes]:
    """Yield the pieces of a file after checking its head. Raises `WrongFormat`."""
    head = b""
    is_checked = False
    async for piece in pieces:
        if is_checked:
            yield piece
            continue
        head += piece
        if len(head) >= HEAD_BYTES:
            check_head(head, suffix)
            is_checked = True
            yield head
    if not is_checked:
        check_head(head, suffix)
        yield head


def check_head(head: bytes, suffix: str) -> None:
    """Raise `WrongFormat` if the first `HEAD_BYTES` of a file are not of the format that its name promises.

    `suffix` is that of the name, without a point and without that of the compression.
    """
    head = head[:HEAD_BYTES]
    for magic, kind, advice in _KINDS:
        if head.startswith(magic):
            raise WrongFormat(f"The file is {kind}. {advice}.")
    if head.startswith(_UTF_16) or b"\0" in head[1::2][:8] or b"\0" in head[::2][:8]:
        raise WrongFormat(
            "The file is UTF-16, or not text at all. Save it as UTF-8: in Excel as 'CSV UTF-8 (Comma delimited)'."
        )
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if _markup(text):
        raise WrongFormat("The file is HTML or XML, perhaps a page with an error. Send NDJSON or CSV.")
    if b"\n" not in text and (_cr_ends if suffix == "csv" else _cr_between_objects)(text):
        raise WrongFormat("The lines end with CR alone, as on old Macs. End them with LF or CR LF.")
    (_check_csv if suffix == "csv" else _check_ndjson)(text)


def _check_csv(text: bytes) -> None:
    if text.startswith(b"{"):
        raise WrongFormat("By its name the file is CSV, but it is JSON. Name it .ndjson, with one object a line.")
    if text.startswith(b"["):
        raise WrongFormat("By its name the file is CSV, but it is a JSON array. " + _as_ndjson(".[]"))


def _check_ndjson(text: bytes) -> None:
    if text.startswith(b"["):
        raise WrongFormat("The file is a JSON array. " + _as_ndjson(".[]"))
    if wrapped := _wrapped(text):
        items = f".{wrapped[1].decode()}[]" if _identifier(wrapped[1]) else ".[][]"
        raise WrongFormat("The file is one JSON object with an array in it. " + _as_ndjson(items))
    if _open_object(text):
        raise WrongFormat("The objects go over several lines. Write each on one line: `jq -c .` does so.")
    first_line = text.partition(b"\n")[0]
    if not first_line.startswith(b"{") and _header(first_line):
        raise WrongFormat("By its name the file is NDJSON, but it is CSV. Name it .csv.")


def _as_ndjson(items: str) -> str:
    """Return how to convert the file, with the filter of jq that selects the items."""
    return f"Write one object a line, without brackets and commas between them: `jq -c '{items}'` does so."
