"""The read path of a request: a view that fixes the version of each list, loaders that batch by key, and caches."""

from loaders.cache.version_cache import VersionCache
from loaders.diffs import SharedStatistics
from loaders.heartbeat import Heartbeat
from loaders.lru import LRU
from loaders.min_versions import MinVersions
from loaders.pages import Page, Window
from loaders.pointer_cache import LAG_BOUNDS, PointerCache
from loaders.preloader import Preloader
from loaders.prices import PriceLoader
from loaders.request import Loaders
from loaders.single_flight import SingleFlight
from loaders.timelines import MAX_DAYS, Between, DaysBefore
from loaders.view import View

__all__ = [
    "LAG_BOUNDS",
    "LRU",
    "MAX_DAYS",
    "Between",
    "DaysBefore",
    "Heartbeat",
    "Loaders",
    "MinVersions",
    "Page",
    "PointerCache",
    "Preloader",
    "PriceLoader",
    "SharedStatistics",
    "SingleFlight",
    "VersionCache",
    "View",
    "Window",
]
