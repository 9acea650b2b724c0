"""The file of an export: it appears whole, under its name, or not at all; compressed where the name says so."""

import gzip
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name when the context ends well, and is removed when it does not.

    What stood there under that name stays until then. Raises `ClickException`, exit code 1, where it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as raw:
            with _compressed(raw, path.suffix.lower()) as stream:
                yield stream
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _compressed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        # Without name and time in it, so that the same prices make the same file.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
            yield cast("BinaryIO", stream)
    elif suffix == ".zst":
        with zstd.ZstdFile(raw, "w") as stream:
            yield cast("BinaryIO", stream)
    else:
        yield raw
