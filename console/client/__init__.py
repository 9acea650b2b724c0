"""The client of the GraphQL API: requests, their errors, and what it pushes."""

from typing import Any

Json = dict[str, Any]
"""A JSON object."""
