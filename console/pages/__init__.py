"""The pages of the console. Each module builds one; `PAGES` tells where it is."""

from typing import NamedTuple

from console.frame.frame import Build
from console.pages.batch import batch_page
from console.pages.compare import compare_page
from console.pages.live import live_page
from console.pages.overview import overview_page
from console.pages.price_list import price_list_page
from console.pages.release import release_page
from console.pages.releases import releases_page
from console.pages.review import review_page
from console.pages.sku import sku_page


class Page(NamedTuple):
    """A page: its title, which may name parameters of the path, and the function that builds it."""

    title: str
    build: Build


PAGES = {
    "/": Page("Price lists", overview_page),
    "/lists/{name}": Page("{name}", price_list_page),
    "/lists/{name}/compare": Page("{name}: compare versions", compare_page),
    "/lists/{name}/sku": Page("{name}: {sku}", sku_page),
    "/review": Page("Review", review_page),
    "/batches/{batch_id}": Page("Batch {batch_id}", batch_page),
    "/live": Page("Live", live_page),
    "/releases": Page("Releases", releases_page),
    "/releases/{release_id}": Page("Release", release_page),
}
"""The pages, by path."""
