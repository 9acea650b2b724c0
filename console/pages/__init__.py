"""The pages of the console. Each module builds one; `PAGES` tells where it is."""

from typing import NamedTuple

from console.frame.frame import Build
from console.pages.batch import batch
from console.pages.compare import compare_page
from console.pages.live import live
from console.pages.overview import overview
from console.pages.price_list import price_list
from console.pages.release import release
from console.pages.releases import releases
from console.pages.review import review
from console.pages.sku import sku_page


class Page(NamedTuple):
    """A page: its title, which may name parameters of the path, and the function that builds it."""

    title: str
    build: Build


PAGES = {
    "/": Page("Price lists", overview),
    "/lists/{name}": Page("{name}", price_list),
    "/lists/{name}/compare": Page("{name}: compare versions", compare_page),
    "/lists/{name}/sku": Page("{name}: {sku}", sku_page),
    "/review": Page("Review", review),
    "/batches/{batch_id}": Page("Batch {batch_id}", batch),
    "/live": Page("Live", live),
    "/releases": Page("Releases", releases),
    "/releases/{release_id}": Page("Release", release),
}
"""The pages, by path."""
