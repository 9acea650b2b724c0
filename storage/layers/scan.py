"""Scans: the prices of a version that match a filter, or that are in another order than by sku.

The stats of a block bound where its prices are in an order. So a scan reads the blocks in the order of these bounds,
and stops when no further block can have a price of the page; blocks that can have no match are not read at all. A row
of a newer layer, of any kind, hides those of its sku in older ones: each match is looked up in the newer layers.
"""

import asyncio
import heapq
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import batched, chain
from typing import NamedTuple

from storage.catalog.snapshots import Snapshot
from storage.errors import ScanLimit
from storage.fair_yield import yield_to_loop
from storage.layers.block import BlockStats
from storage.layers.block_cache import CachedLayer
from storage.layers.directory import PAGE_BLOCKS
from storage.layers.reader import LayerReader
