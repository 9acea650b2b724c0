"""Any sequence of actions on lists and releases has the outcome that a small model of all lists predicts."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Gates, Release, ReleaseRefused, Store
from storage.errors import Refused
from tests.storage.factories import amounts, row, submit
from tests.storage.releases.factories import told

LISTS = ("books", "games")


class ModelRefused(Exception):
    """The model refuses an action; the argument is the outcome."""


@dataclass
class ListModel:
    """The expected state of a list: `contents` are the prices of its versions, `highest` was ever current."""

    current: int | None = None
    highest: int = 0
    pinned: bool = False
    contents: list[str] = field(default_factory=list)
    was_current: set[int] = field(default_factory=set)

    def add(self, amount: str) -> int:
        self.contents.append(amount)
        return len(self.contents)

    def move(self, version: int) -> None:
        self.current, self.highest = version, max(version, self.highest)
        self.was_current.add(version)


@dataclass
class ReleaseModel:
    """The expected state of a release.

    `items` are the version and the base of the batch of each list, `moves` the versions before and after it was
    published.
    """

    state: str = "OPEN"
    items: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    moves: dict[str, tuple[int | None, int]] = field(default_factory=dict)


@dataclass
class Model:
    """The expected state of all lists and releases."""

    lists: dict[str, ListModel] = field(default_factory=lambda: {name: ListModel() for name in LISTS})
    releases: list[ReleaseModel] = field(default_factory=lambda: [ReleaseModel(), ReleaseModel()])

    def publish(self, name: str, amount: str) -> str:
        version = self.lists[name].add(amount)
        if self.lists[name].pinned:
            return "HELD"
        self.lists[name].move(version)
        return "PUBLISHED"

    def send(self, name: str, number: int, amount: str) -> str:
        release = self.releases[number]
        if release.state != "OPEN":
            raise ModelRefused("RELEASE_NOT_OPEN")
        release.items[name] = self.lists[name].add(amount), self.lists[name].current
        return "HELD"

    def release(self, number: int) -> str:
        release = self.releases[number]
        if release.state in ("DISCARDED", "ROLLED_BACK"):
            raise ModelRefused("RELEASE_NOT_OPEN")
        if release.state == "OPEN":
            if not release.items:
                raise ModelRefused("RELEASE_EMPTY")
            if pinned := [(name, "PINNED") for name in sorted(release.items) if self.lists[name].pinned]:
                raise ModelRefused(pinned)
            for name, (version, base) in release.items.items():
                found = self.lists[name]
                is_stale, before = base != found.current or version <= found.highest, found.current
                after = found.add(found.contents[version - 1]) if is_stale else version
                found.move(after)
                release.moves[name] = before, after
            release.state = "PUBLISHED"
        return release.state

    def roll_release_back(self, number: int) -> str:
        release = self.releases[number]
        if release.state in ("OPEN", "DISCARDED"):
            raise ModelRefused("RELEASE_NOT_PUBLISHED")
        if release.state == "PUBLISHED":
            found = [(name, self._against(name, *moved)) for name, moved in sorted(release.moves.items())]
            if against := [(name, code) for name, code in found if code]:
                raise ModelRefused(against)
            for name, (before, _) in release.moves.items():
                self.lists[name].move(before or 0)
                self.lists[name].pinned = True
            release.state = "ROLLED_BACK"
        return release.state

    def _against(self, name: str, before: int | None, after: int) -> str | None:
        """What stands against the return of a list."""
        if before is None:
            return "NO_EARLIER_VERSION"
        return None if self.lists[name].current == after else "CONFLICT"

    def discard(self, number: int) -> str:
        release = self.releases[number]
        if release.state in ("PUBLISHED", "ROLLED_BACK"):
            raise ModelRefused("RELEASE_NOT_OPEN")
        release.state = "DISCARDED"
        return release.state

    def rollback(self, name: str) -> None:
        """Roll back to the first version, and pin it."""
        found = self.lists[name]
        if not found.was_current or found.current == min(found.was_current):
            raise ModelRefused("IMPOSSIBLE")
        found.move(min(found.was_current))
        found.pinned = True

    def unpin(self, name: str) -> None:
        if not self.lists[name].pinned:
            raise ModelRefused("NOT_PINNED")
        self.lists[name].pinned = False


@dataclass(frozen=True)
class Action:
    """An action on a list, on one of two releases, or on both."""

    name: str
    price_list: str
    number: int

    def on_model(self, model: Model, amount: str) -> str | None:
        outcomes: dict[str, Callable[[], str | None]] = {
            "publish": lambda: model.publish(self.price_list, amount),
            "send": lambda: model.send(self.price_list, self.number, amount),
            "release": lambda: model.release(self.number),
            "discard": lambda: model.discard(self.number),
            "roll release back": lambda: model.roll_release_back(self.number),
            "rollback": lambda: model.rollback(self.price_list),
            "unpin": lambda: model.unpin(self.price_list),
        }
        return outcomes[self.name]()


@dataclass(frozen=True)
class Actual:
    """The lists and releases of a store."""

    store: Store
    names: dict[str, str]
    releases: list[Release]

    async def act(self, action: Action, first: int, amount: str) -> Any:
        name, release = self.names[action.price_list], self.releases[action.number].id
        match action.name:
            case "publish":
                return (await submit(self.store, [row("a", amount)], name)).state
            case "send":
                return (await submit(self.store, [row("a", amount)], name, release=release)).state
            case "release":
                return (await self.store.release_publisher.publish(release, by="ann")).state
            case "discard":
                return (await self.store.release_editor.discard(release, by="ann", reason="x")).state
            case "roll release back":
                return (await self.store.release_rollback.rollback(release, by="ops", reason="x")).state
            case "rollback":
                await self.store.pointer_moves.rollback(name, first, by="ops", reason="x")
            case "unpin":
                await self.store.pointer_moves.unpin(name, by="ops", reason="x")
        return None

    async def outcome(self, action: Action, first: int, amount: str) -> Any:
        known = {stored: name for name, stored in self.names.items()}
        try:
            return await self.act(action, first, amount)
        except ReleaseRefused as refused:
            return [(known[name], code) for name, code in told(refused)]
        except Refused as refused:
            return refused.code


async def actual(store: Store) -> Actual:
    suffix = secrets.token_hex(4)
    names = {name: f"{name}-{suffix}" for name in LISTS}
    for name in names.values():
        await store.price_list_editor.create(name, None, Gates(), "ops")
    keys = [f"{suffix}-{number}" for number in range(2)]
    return Actual(store, names, [await store.release_editor.create("Spring", key, by="ann") for key in keys])


def predicted(model: Model, action: Action, amount: str) -> Any:
    try:
        return action.on_model(model, amount)
    except ModelRefused as refused:
        return refused.args[0]


ACTIONS = st.builds(
    Action,
    st.sampled_from(
        [*["send"] * 8, *["release"] * 5, *["roll release back"] * 4, *["unpin"] * 3, "publish", "rollback", "discard"]
    ),
    st.sampled_from(LISTS),
    st.integers(0, 1),
)


FIRST = [Action("publish", name, 0) for name in LISTS]
"""Without a version before it, a release cannot be rolled back."""


@given(st.lists(ACTIONS, min_size=6, max_size=16), st.sampled_from([FIRST, FIRST, FIRST[:1]]))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_lists_and_releases_behave_like_the_model(
    store: Store, actions: list[Action], first_actions: list[Action]
) -> None:
    model, found = Model(), await actual(store)
    for step, action in enumerate([*first_actions, *actions]):
        first = min(model.lists[action.price_list].was_current, default=1)
        expected = predicted(model, action, str(step))
        if expected == "IMPOSSIBLE":
            continue
        assert await found.outcome(action, first, str(step)) == expected, action
        for name, price_list in model.lists.items():
            stored = await store.price_lists.get(found.names[name])
            assert (stored.current_version, stored.last_version) == (price_list.current, len(price_list.contents))
            assert bool(stored.pin) == price_list.pinned
    for name, price_list in model.lists.items():
        for version in price_list.was_current:
            assert await amounts(store, version, found.names[name]) == {"a": price_list.contents[version - 1]}
    for release, modelled in zip(found.releases, model.releases, strict=True):
        assert (await store.releases.get(release.id)).state == modelled.state
    assert [finding async for finding in store.integrity_check().run()] == []
