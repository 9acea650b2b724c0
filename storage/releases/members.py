"""The lists of a release as its transaction sees them: what publishing does to each, and what stands against it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from storage.batches.assessment import EXPECTED_VERSION_GATE, PIN_GATE, facts_of, objections_when_due
from storage.batches.batch import Batch
from storage.batches.comparison import BaseMoved, Comparison
from storage.catalog.gates import Facts
from storage.catalog.price_lists import PriceList
from storage.catalog.snapshots import Snapshot
from storage.errors import Conflict, Pinned, Refused
from storage.releases.errors import GateHeld, objection


class ListsMoved(Exception):
    """Batches of a release were not compared with the current versions of their lists. Compare them, and try again."""

    def __init__(self, moved: Sequence[BaseMoved]) -> None:
        super().__init__(len(moved))
        self.moved = moved


class Member(NamedTuple):
    """A list of a release with its batch.

    The batch expects the version that the caller does, if there is one. `base` is the manifest of the current version;
    None without one, and if the batch was sealed on that.
    """

    price_list: PriceList
    batch: Batch
    base: Snapshot | None


def facts_of_members(members: Sequence[Member], comparisons: Mapping[str, Comparison]) -> list[Facts]:
    """Return what each batch does to the current version of its list. Raises `ListsMoved`, with all that are needed."""
    facts, moved = [], []
    for price_list, batch, base in members:
        try:
            known = batch.facts if batch.base == price_list.current_version else None
            facts.append(known or facts_of(batch, comparisons.get(batch.id), base))
        except BaseMoved as error:
            moved.append(error)
    if moved:
        raise ListsMoved(moved)
    return facts


def objections_to(member: Member, facts: Facts) -> list[Refused]:
    """Return what stands against publishing a batch now."""
    price_list, batch = member.price_list, member.batch
    held: list[str] = []
    objections: list[Refused] = []
    for finding in objections_when_due(batch, price_list, facts):
        if finding.gate == PIN_GATE and price_list.pin:
            objections.append(Pinned(price_list.name, price_list.pin.version))
        elif finding.gate == EXPECTED_VERSION_GATE and batch.expected_version is not None:
            objections.append(Conflict(price_list.name, batch.expected_version, price_list.current_version))
        else:
            held.append(finding.message)
    if held:
        objections.append(GateHeld(batch, " ".join(held)))
    return [objection(each, price_list.name) for each in objections]
