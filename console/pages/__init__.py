"""The pages of the console. Each module builds one; `PAGES` tells where it is."""

from typing import NamedTuple

from console.frame.frame import Build
from console.pages.batch import batch
from console.pages.live import live
from console.pages.overview import overview
from console.pages.release import release
from console.pages.releases import releases
from console.pages.review import review


class Page(NamedTuple):
    """A page: its title, which may name parameters of the path, and the function that builds it."""

    title: str
    build: Build


PAGES = {
    "/": Page("Price lists", overview),
    "/review": Page("Review", review),
    "/batches/{batch_id}": Page("Batch {batch_id}", batch),
    "/live": Page("Live", live),
    "/releases": Page("Releases", releases),
    "/releases/{release_id}": Page("Release", release),
}
"""The pages, by path."""
