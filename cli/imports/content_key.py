"""The idempotency key of an import that is not given one."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

import msgspec

from cli.imports.batch_api import BatchRequest
from cli.imports.parts import SPLIT_VERSION
from cli.imports.price_files import RowFile


def content_key(request: BatchRequest, files: Sequence[RowFile], part_rows: int) -> str:
    """Return the idempotency key of the files and options: the same command resumes the same batch.

    A batch that is published at once has the key that it had before batches could be scheduled or be in a release.
    """
    options = asdict(request)
    for later in ("publish_at", "release"):
        if options[later] is None:
            del options[later]
    content = [
        SPLIT_VERSION,
        part_rows,
        [file.digest() for file in files],
        [file.format for file in files],
        options,
    ]
    return f"import-{hashlib.blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()}"
