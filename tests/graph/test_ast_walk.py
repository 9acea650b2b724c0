"""Walks resolve fragments in document order, end on cycles, and take a number of steps bounded by the document."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    build_schema,
    get_operation_ast,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from graph.ast_walk import Fragments, fragments_of, selections, walk

SCHEMA = build_schema("type Query { a: A, b: [A!]!, c: Int } type A { a: A, q: Query, c: Int }")
LENGTH = 3000


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    operation = get_operation_ast(document)
    assert operation is not None
    return operation


def names(nodes: Iterator[SelectionNode]) -> list[str]:
    """The names of fields, `...Name` for spreads, `...` for inline fragments."""
    return [_name(node) for node in nodes]


def _name(node: SelectionNode) -> str:
    if isinstance(node, FieldNode):
        return node.name.value
    return f"...{node.name.value}" if isinstance(node, FragmentSpreadNode) else "..."


def flat(text: str, *, once: bool = False) -> list[str]:
    document = parse(text)
    return names(selections(operation_of(document).selection_set, fragments_of(document), set[str]() if once else None))


def steps(text: str, limit: int, *, once: bool = False) -> int:
    document = parse(text, no_location=True)
    visited = set[str]() if once else None
    return sum(1 for _ in islice(walk(operation_of(document).selection_set, fragments_of(document), visited), limit))


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ a c b }", "a c b"),
        ("{ a { c } b }", "a b"),
        ("{ a ... { c ... { d } } b }", "a ... c ... d b"),
        ("{ ...F b } fragment F on Query { a ...G c } fragment G on Query { d }", "...F a ...G d c b"),
        ("{ ...Undefined b }", "...Undefined b"),
    ],
)
def test_selections_come_in_document_order(text: str, expected: str, once: bool) -> None:
    assert flat(text, once=once) == expected.split()


def test_a_fragment_is_entered_at_every_spread_or_once() -> None:
    text = "{ ...F ...F } fragment F on Query { a }"
    assert flat(text) == ["...F", "a", "...F", "a"]
    assert flat(text, once=True) == ["...F", "a", "...F"]


def test_fragments_visited_before_are_not_entered() -> None:
    document = parse("{ ...F ...G } fragment F on Query { a } fragment G on Query { b }")
    visited = {"F"}
    nodes = selections(operation_of(document).selection_set, fragments_of(document), visited)
    assert names(nodes) == ["...F", "...G", "b"]
    assert visited == {"F", "G"}


def test_a_walk_gives_each_selection_its_depth_and_parent_type() -> None:
    document = parse("{ a { ...F } b { q { c } } } fragment F on A { c ... { a { __typename } } } ")
    walked = walk(operation_of(document).selection_set, fragments_of(document), None, SCHEMA.query_type)
    assert sorted((_name(node), depth, str(parent)) for node, depth, parent in walked) == [
        ("...", 2, "A"),
        ("...F", 2, "A"),
        ("__typename", 3, "A"),
        ("a", 1, "Query"),
        ("a", 2, "A"),
        ("b", 1, "Query"),
        ("c", 2, "A"),
        ("c", 3, "Query"),
        ("q", 2, "A"),
    ]


def test_there_is_no_parent_type_below_undefined_fields() -> None:
    document = parse("{ undefined { c } __schema { types { name } } }")
    walked = walk(operation_of(document).selection_set, {}, None, SCHEMA.query_type)
    assert {_name(node): str(parent) for node, _, parent in walked} == {
        "undefined": "Query",
        "__schema": "Query",
        "c": "None",
        "types": "None",
        "name": "None",
    }


@pytest.mark.parametrize(
    "text",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B c } fragment B on Query { a { q { ...A } } ...A }",
    ],
)
def test_fragments_that_spread_each_other_end_when_entered_once(text: str) -> None:
    assert steps(text, 100, once=True) < 10
    assert steps(text, 100) == 100


def test_a_long_chain_of_fragments_does_not_exhaust_the_stack() -> None:
    chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(LENGTH))
    text = f"{{ ...F0 }} {chain} fragment F{LENGTH} on Query {{ c }}"
    assert steps(text, 2 * LENGTH) == steps(text, 2 * LENGTH, once=True) == LENGTH + 2


def test_fragments_that_expand_exponentially_are_walked_in_linear_time_when_entered_once() -> None:
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    text = f"{{ ...F0 }} {fragments} fragment F60 on Query {{ c }}"
    assert steps(text, 10_000, once=True) == 1 + 2 * 60 + 1
    assert steps(text, 10_000) == 10_000


class _Counted:
    """A list of selections that counts how many were iterated."""

    def __init__(self, nodes: tuple[SelectionNode, ...]) -> None:
        self.nodes = nodes
        self.count = 0

    def __iter__(self) -> Iterator[SelectionNode]:
        for node in self.nodes:
            self.count += 1
            yield node


def test_a_step_touches_one_selection_however_long_the_fragment() -> None:
    document = parse(f"{{ ...A }} fragment A on Query {{ {'...A ' * LENGTH} }}")
    fragments = fragments_of(document)
    counted = _Counted(tuple(fragments["A"].selection_set.selections))
    object.__setattr__(fragments["A"].selection_set, "selections", counted)  # nodes are frozen
    assert len(list(islice(walk(operation_of(document).selection_set, fragments, None), LENGTH))) == LENGTH
    assert counted.count <= LENGTH


def _expanded(selection_set: SelectionSetNode, fragments: Fragments, depth: int) -> Iterator[tuple[str, int]]:
    """The same as `walk`, by plain recursion."""
    for node in selection_set.selections:
        yield _name(node), depth
        if isinstance(node, FieldNode) and node.selection_set:
            yield from _expanded(node.selection_set, fragments, depth + 1)
        elif isinstance(node, InlineFragmentNode):
            yield from _expanded(node.selection_set, fragments, depth)
        elif isinstance(node, FragmentSpreadNode):
            yield from _expanded(fragments[node.name.value].selection_set, fragments, depth)


def _selection_set(random: Random, spreads: list[str], depth: int = 0) -> str:
    nodes = []
    for _ in range(random.randint(1, 3)):
        if depth < 3 and random.random() < 0.5:
            start = random.choice(["a", "q", "...", "... on Query"])
            nodes.append(f"{start} {_selection_set(random, spreads, depth + 1)}")
        else:
            nodes.append(random.choice(["c", "x: c", *spreads]))
    return f"{{ {' '.join(nodes)} }}"


def _document(random: Random) -> str:
    """A document whose fragments spread only those after them."""
    parts = [_selection_set(random, ["...F0", "...F1"])]
    for number in range(3):
        later = [f"...F{other}" for other in range(number + 1, 3)]
        parts.append(f"fragment F{number} on Query {_selection_set(random, later)}")
    return " ".join(parts)


@given(st.integers(0, 2**32))
def test_a_walk_yields_what_recursion_yields(seed: int) -> None:
    document = parse(_document(Random(seed)))
    selection_set, fragments = operation_of(document).selection_set, fragments_of(document)
    walked = [(_name(node), depth) for node, depth, _ in walk(selection_set, fragments, None)]
    assert sorted(walked) == sorted(_expanded(selection_set, fragments, 1))
    once = [id(node) for node, _, _ in walk(selection_set, fragments, set())]
    assert len(once) == len(set(once)), "no selection is visited twice"
    assert set(once) == {id(node) for node, _, _ in walk(selection_set, fragments, None)}
