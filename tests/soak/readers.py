"""Readers: they read through all processes, and compare every answer with the model."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.soak.client import LOST, NO_VERSION, RETRYABLE, Client, Record, Refusal
from tests.soak.model import Content, ListModel, WrongAnswer, places, price, size, sku

MAX_PAGE = 1000
GRACE_SECONDS = 20.0
"""The grace of the servers: a version that was read within it does not expire."""

PRICE = "sku amount currency"
POINT = (
    f"query ($list: ID!, $sku: ID!) {{ snapshot(priceList: $list) {{ version size price(sku: $sku) {{ {PRICE} }} }} }}"
)
SKUS = f"""query ($list: ID!, $version: Int, $skus: [ID!]!) {{
  snapshot(priceList: $list, version: $version) {{ version size pricesBySku(skus: $skus) {{ {PRICE} }} }}
}}"""
PRICES = f"""query ($list: ID!, $first: Int, $last: Int, $after: String, $filter: PriceFilter) {{
  snapshot(priceList: $list) {{
    version size
    prices(first: $first, last: $last, after: $after, filter: $filter) {{
      totalCount nodes {{ {PRICE} }} pageInfo {{ hasNextPage endCursor }}
    }}
  }}
}}"""
DIFF = f"""query ($list: ID!, $from: Int!, $to: Int!) {{
  priceList(name: $list) {{
    diff(from: $from, to: $to, first: 100) {{
      nodes {{ sku change before {{ {PRICE} }} after {{ {PRICE} }} }} summary {{ added removed changed unchanged }}
    }}
  }}
}}"""


class Reader:
    """A reader of all lists. `positions`: the place in the history that each process has answered, by list."""

    def __init__(self, client: Client, lists: Sequence[ListModel], record: Record) -> None:
        self._client = client
        self._random = client.random
        self._lists = lists
        self._record = record
        self._positions: dict[tuple[int, str], int] = {}

    async def run(self) -> None:
        """Read until cancelled. Errors that are expected are counted, and everything else is a wrong answer."""
        kinds = (self._point, self._skus, self._skus, self._old, self._page, self._filtered, self._diff, self.walk)
        while True:
            kind, found = self._random.choice(kinds), self._random.choice(self._lists)
            self._client.switch()
            name = f"read {kind.__name__.strip('_')}"
            try:
                await kind(found)
                self._record.answers[name] += 1
            except Refusal as refusal:
                self._record.refuse(name, refusal)
                await asyncio.sleep(0.2)
            except WrongAnswer as wrong:
                self._record.fail(f"process {self._client.server}: {wrong}")
            await asyncio.sleep(self._random.uniform(0, 0.1))

    async def _point(self, found: ListModel) -> None:
        place = self._random.randrange(found.skus)
        answer = await self._client.send(POINT, {"list": found.name, "sku": sku(place)})
        content = await self._current(found, answer)
        _compare((found.name, answer["version"], "price", sku(place)), answer["price"], price(content[place], place))

    async def _skus(self, found: ListModel) -> None:
        chosen = self._sample(found)
        answer = await self._client.send(SKUS, {"list": found.name, "skus": [sku(place) for place in chosen]})
        content = await self._current(found, answer)
        self._check_skus(found, answer, chosen, content)

    async def _old(self, found: ListModel) -> None:
        """Read a version by its number; it may have expired."""
        if not found.versions:
            return
        version, chosen = self._random.choice(sorted(found.versions)[-25:]), self._sample(found)
        content = found.versions[version]
        variables = {"list": found.name, "version": version, "skus": [sku(place) for place in chosen]}
        answer = await self._client.send(SKUS, variables)
        _compare((found.name, version, "version"), answer["version"], version)
        self._check_skus(found, answer, chosen, content)

    def _check_skus(self, found: ListModel, answer: Any, chosen: Sequence[int], content: Content) -> None:
        question = (found.name, answer["version"], "pricesBySku", chosen)
        _compare(question, answer["size"], size(content))
        _compare(question, answer["pricesBySku"], [price(content[place], place) for place in chosen])

    async def _page(self, found: ListModel) -> None:
        count, end = self._random.randrange(1, 200), self._random.choice(("first", "last"))
        answer = await self._client.send(PRICES, {"list": found.name, end: count})
        content = await self._current(found, answer)
        present = list(places(content))
        expected = present[:count] if end == "first" else present[-count:]
        _compare(
            (found.name, answer["version"], f"prices({end}: {count})"),
            answer["prices"]["nodes"],
            [price(content[place], place) for place in expected],
        )

    async def _filtered(self, found: ListModel) -> None:
        prefix = sku(self._random.randrange(found.skus))[:-2]
        variables = {"list": found.name, "first": 100, "filter": {"skuPrefix": prefix}}
        answer = await self._client.send(PRICES, variables)
        content = await self._current(found, answer)
        expected = [price(content[place], place) for place in places(content) if sku(place).startswith(prefix)]
        question = (found.name, answer["version"], f"prices of {prefix}")
        _compare(question, answer["prices"]["nodes"], expected)
        _compare(question, answer["prices"]["totalCount"], len(expected))

    async def _diff(self, found: ListModel) -> None:
        if len(found.versions) < 2:
            return
        old, new = self._random.sample(sorted(found.versions)[-12:], 2) if len(found.versions) > 2 else (1, 2)
        before, after = found.versions[old], found.versions[new]
        answer = await self._client.send(DIFF, {"list": found.name, "from": old, "to": new})
        differing = [place for place in range(found.skus) if before[place] != after[place]]
        nodes = [_difference(place, before[place], after[place]) for place in differing[:100]]
        _compare((found.name, f"diff of {old} and {new}"), answer["diff"]["nodes"], nodes)
        added = sum(not before[place] for place in differing)
        removed = sum(not after[place] for place in differing)
        changed = len(differing) - added - removed
        summary = {"added": added, "removed": removed, "changed": changed}
        summary["unchanged"] = size(after) - added - changed
        _compare((found.name, f"summary of the diff of {old} and {new}"), answer["diff"]["summary"], summary)

    async def walk(self, found: ListModel, pause: float = 0.2) -> None:
        """Read all pages of a version, each through any process."""
        loop, after, version = asyncio.get_running_loop(), None, None
        expected: list[int] = []
        content: Content | None = None
        read_at, size_of_page = loop.time(), min(max(found.skus // 20, 10), MAX_PAGE)
        while content is None or expected:
            try:
                answer = await self._client.send(PRICES, {"list": found.name, "first": size_of_page, "after": after})
            except Refusal as refusal:
                if refusal.code == "SNAPSHOT_EXPIRED" and loop.time() - read_at < GRACE_SECONDS / 2:
                    raise WrongAnswer(f"{found.name}: version {version} expired while its pages were read") from None
                if refusal.code not in {LOST, *RETRYABLE}:
                    raise
                self._record.refuse("read page of a walk", refusal)
                await asyncio.sleep(0.5)
                self._client.switch()
                continue
            read_at = loop.time()
            if content is None:
                content = await self._current(found, answer)
                version = answer["version"]
                expected = list(places(content))
            question = (found.name, version, "page after", after)
            page, expected = expected[:size_of_page], expected[size_of_page:]
            _compare(question, answer["version"], version)
            _compare(question, answer["prices"]["nodes"], [price(content[place], place) for place in page])
            _compare(question, answer["prices"]["pageInfo"]["hasNextPage"], bool(expected))
            after = answer["prices"]["pageInfo"]["endCursor"]
            self._client.switch()
            await asyncio.sleep(self._random.uniform(0, pause))

    async def _current(self, found: ListModel, answer: Any) -> Content:
        """Return the content of the version that was answered as current, which must not go back in the history."""
        if answer is None:
            raise Refusal(NO_VERSION, found.name)
        version, key = answer["version"], (self._client.server, found.name)
        self._positions[key] = await found.follow(version, self._positions.get(key, 0))
        content = await found.content(version)
        if content is None:
            raise WrongAnswer(f"{found.name}: version {version}, long ago, was answered as current")
        _compare((found.name, version, "size"), answer["size"], size(content))
        return content

    def _sample(self, found: ListModel) -> list[int]:
        start, count = self._random.randrange(found.skus), self._random.randrange(1, 40)
        near = [(start + step) % found.skus for step in range(count // 2)]
        return sorted({*near, *(self._random.randrange(found.skus) for _ in range(count))})


def _difference(place: int, before: int, after: int) -> dict[str, Any]:
    kind = "ADDED" if not before else "CHANGED" if after else "REMOVED"
    return {"sku": sku(place), "change": kind, "before": price(before, place), "after": price(after, place)}


def _compare(question: tuple[object, ...], answered: Any, expected: Any) -> None:
    """Raise `WrongAnswer` with the first item that differs."""
    if answered == expected:
        return
    if isinstance(answered, list) and isinstance(expected, list):
        pairs = zip(answered, expected, strict=False)
        at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(answered), len(expected)))
        sizes = f"{len(answered)} items, expected {len(expected)}; from item {at} on "
        raise WrongAnswer(f"{question}: {sizes}{answered[at : at + 3]} instead of {expected[at : at + 3]}")
    raise WrongAnswer(f"{question}: {answered!r} instead of {expected!r}")
