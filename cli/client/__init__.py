"""The client of the GraphQL API. This module is light; `cli.client.client` takes a tenth of a second to import."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for the variable `input.file`."""

    name: str
    content: bytes
    media_type: str
