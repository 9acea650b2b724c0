"""The pages of the console. Each module builds one; `PAGES` tells where it is."""

from typing import NamedTuple

from console.frame.frame import Build
from console.pages.batch import batch
from console.pages.overview import overview
from console.pages.review import review


class Page(NamedTuple):
    """A page: its title, which may name parameters of the path, and the function that builds it."""

    title: str
    build: Build


PAGES = {
    "/": Page("Price lists", overview),
    "/review": Page("Review", review),
    "/batches/{batch_id}": Page("Batch {batch_id}", batch),
}
"""The pages, by path."""
