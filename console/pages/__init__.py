"""The pages of the console. Each module builds one; `PAGES` tells where it is."""

from typing import NamedTuple

from console.frame.frame import Build
from console.pages.compare import compare_page
from console.pages.overview import overview
from console.pages.price_list import price_list
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
}
"""The pages, by path."""
