"""Releases whose instants have passed."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from storage.batches import admission
from storage.releases import scheduling


@pytest.fixture
def past_accepted() -> Iterator[None]:
    """Accept instants that have passed, as if they had been sent before."""
    with patch.object(admission, "check_publish_at"), patch.object(scheduling, "check_publish_at"):
        yield
