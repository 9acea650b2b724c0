"""Any sequence of actions on a list has the outcome that a small model predicts."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import Gates, PricebookError, Store
from tests.storage.factories import amounts, row, snapshot, submit

Move = tuple[str, int | None, int | None]


class Refused(Exception):
    """The model refuses an action; the message is the error code."""


@dataclass
class Model:
    """The expected state of a list. `contents` are the prices of each version, `was_current` the published versions.

    `waiting` are the versions of the batches that a pin holds, each with the version that was current when it was
    sealed; `superseded` are those that are still to be rejected.
    """

    current: int | None = None
    pin: int | None = None
    contents: list[str] = field(default_factory=list)
    was_current: set[int] = field(default_factory=set)
    waiting: list[tuple[int, int | None]] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    retired: set[int] = field(default_factory=set)
    moves: list[Move] = field(default_factory=lambda: [("CREATED", None, None)])

    def publish(self, amount: str, expected: int | None) -> str:
        if expected is not None and expected != (self.current or 0):
            raise Refused("CONFLICT")
        self.contents.append(amount)
        if self.pin is not None:
            self.waiting.append((len(self.contents), self.current))
            self._move("HELD", self.current)
            return "HELD"
        self._move("PUBLISHED", len(self.contents))
        return "PUBLISHED"

    def publish_bad(self) -> str:
        self._move("FAILED", self.current)
        return "FAILED"

    def rollback(self, version: int, pin: bool) -> None:
        if version == self.current:
            raise Refused("ALREADY_CURRENT")
        self._check(version)
        self._move("ROLLED_BACK", version)
        if pin or self.pin is not None:
            self.pin = version

    def set_pin(self, version: int) -> None:
        self._check(version)
        self._move("PINNED", version)
        self.pin = version

    def unpin(self) -> None:
        if self.pin is None:
            raise Refused("NOT_PINNED")
        self._move("UNPINNED", self.current)
        self.pin = None

    def publish_latest(self) -> None:
        self.unpin()
        if not self.waiting:
            return
        *others, (latest, base) = self.waiting
        self.superseded += [other for other, _ in others]
        if base != self.current or latest < max(self.was_current, default=0):
            self.retired.add(latest)
            self.contents.append(self.contents[latest - 1])
            latest = len(self.contents)
        self._move("PUBLISHED", latest)
        self.waiting = []

    def end_superseded(self) -> None:
        for version in self.superseded:
            self.retired.add(version)
            self._move("REJECTED", self.current)
        self.superseded = []

    def _check(self, version: int) -> None:
        if not 1 <= version <= len(self.contents):
            raise Refused("SNAPSHOT_NOT_FOUND")
        if version in self.retired:
            raise Refused("SNAPSHOT_EXPIRED")
        if version not in self.was_current:
            raise Refused("SNAPSHOT_NEVER_PUBLISHED")

    def _move(self, kind: str, to: int | None) -> None:
        self.moves.append((kind, self.current, to))
        self.current = to
        if to is not None:
            self.was_current.add(to)


@dataclass(frozen=True)
class Action:
    """An action on a list. `version` counts back from the newest version, 0; -1 is a version that does not exist."""

    name: str
    version: int = 0
    flag: bool = False

    async def on_store(self, store: Store, name: str, version: int, amount: str) -> str | None:
        match self.name:
            case "publish":
                expected = version if self.flag else None
                return (await submit(store, [row("a", amount)], name, expected_version=expected)).state
            case "publish_bad":
                return (await submit(store, [row("a", "x")], name)).state
            case "rollback":
                await store.pointer_moves.rollback(name, version, by="ops", reason="x", pin=self.flag)
            case "pin":
                await store.pointer_moves.pin(name, version, by="ops", reason="x")
            case "unpin":
                await store.pointer_moves.unpin(name, by="ops", reason="x")
            case "publish_latest":
                await store.lifecycle.publish_latest(name, by="ops", reason="x")
            case "end_superseded":
                await store.lifecycle.end_superseded(name)
        return None

    def on_model(self, model: Model, version: int, amount: str) -> str | None:
        outcomes: dict[str, Callable[[], str | None]] = {
            "publish": lambda: model.publish(amount, version if self.flag else None),
            "publish_bad": model.publish_bad,
            "rollback": lambda: model.rollback(version, self.flag),
            "pin": lambda: model.set_pin(version),
            "unpin": model.unpin,
            "publish_latest": model.publish_latest,
            "end_superseded": model.end_superseded,
        }
        return outcomes[self.name]()


BACK = st.integers(-1, 4)
ACTIONS = st.one_of(
    st.builds(Action, st.just("publish")),
    st.builds(Action, st.sampled_from(["publish", "rollback"]), BACK, st.booleans()),
    st.builds(Action, st.sampled_from(["pin", "unpin", "rollback", "publish"]), BACK),
    st.builds(Action, st.sampled_from(["publish_bad", "unpin", "publish_latest", "end_superseded"])),
)


async def outcome_on_store(action: Action, store: Store, name: str, version: int, amount: str) -> str | None:
    try:
        return await action.on_store(store, name, version, amount)
    except PricebookError as error:
        return error.code


def outcome_on_model(action: Action, model: Model, version: int, amount: str) -> str | None:
    try:
        return action.on_model(model, version, amount)
    except Refused as refused:
        return str(refused)


@given(st.lists(ACTIONS, min_size=3, max_size=14))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_list_behaves_like_the_model(store: Store, actions: list[Action]) -> None:
    name = f"list-{secrets.token_hex(6)}"
    await store.price_list_editor.create(name, None, Gates(), "ops")
    model = Model()
    for step, action in enumerate(actions):
        version, amount = len(model.contents) - action.version, str(step)
        expected = outcome_on_model(action, model, version, amount)
        assert await outcome_on_store(action, store, name, version, amount) == expected, action

        found = await store.price_lists.get(name)
        assert (found.current_version, found.last_version) == (model.current, len(model.contents))
        assert (found.pin and found.pin.version) == model.pin
        assert found.revision == len(model.moves)

    events = await store.events.newest(name, 100)
    assert [event.revision for event in events] == list(range(len(model.moves), 0, -1))
    assert [(event.kind.value, event.from_version, event.to_version) for event in events[::-1]] == model.moves
    for version, amount in enumerate(model.contents, 1):
        assert await amounts(store, version, name) == {"a": amount}
        assert ((await snapshot(store, version, name)).published_at is not None) == (version in model.was_current)
