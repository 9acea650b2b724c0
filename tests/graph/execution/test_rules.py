"""The rules of section 6 of the specification, one by one, for plain records, which are projected, and for others."""

import asyncio
import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import ExecutionResult

from tests.graph.execution import memory
from tests.graph.execution.differential import executable, execute_with_core, execute_with_plan, outcome, run
from tests.graph.execution.edge_case_schema import SCHEMA, Color
from tests.graph.execution.test_plans import SCHEMA as OURS


def thing(**more: Any) -> SimpleNamespace:
    """A record with a text and more attributes."""
    return SimpleNamespace(text="t", **more)


async def execute(text: str, record: Any = None, **variables: Any) -> ExecutionResult:
    """Execute a query on a record, and check that graphql-core gives the same result."""
    result = await execute_with_plan(SCHEMA, text, lambda: record, **variables)
    assert outcome(result) == outcome(await execute_with_core(SCHEMA, text, lambda: record, **variables))
    return result


async def data(text: str, record: Any = None, **variables: Any) -> Any:
    """Execute a query on a record, without errors, and return the data."""
    result = await execute(text, record, **variables)
    assert not result.errors, result.errors
    return result.data


def errors(result: ExecutionResult) -> list[tuple[str, list[str | int] | None]]:
    return [(error.message, error.path) for error in result.errors or ()]


def null(coordinate: str) -> str:
    return f"Cannot return null for non-nullable field {coordinate}."


# Selection


@pytest.mark.parametrize(
    ("conditions", "selected"),
    [
        ("@include(if: true)", True),
        ("@include(if: false)", False),
        ("@skip(if: true)", False),
        ("@skip(if: false)", True),
        ("@skip(if: false) @include(if: false)", False),
        ("@skip(if: true) @include(if: true)", False),
        ("@include(if: $yes)", True),
        ("@include(if: $no)", False),
        ("@skip(if: $yes)", False),
        ("@skip(if: $no) @include(if: $yes)", True),
    ],
)
@pytest.mark.parametrize(
    "selection", ["text {}", "... {} {{ text }}", "... on Thing {} {{ text }}", "...F {}"], ids=str.strip
)
async def test_conditions_select_fields_and_fragments(conditions: str, selected: bool, selection: str) -> None:
    fragment = "fragment F on Thing { text }" if "F" in selection else ""
    used = [name for name in ("yes", "no") if f"${name}" in conditions]
    declared = f"({', '.join(f'${name}: Boolean!' for name in used)})" if used else ""
    text = f"query {declared} {{ thing {{ id {selection.format(conditions)} }} }} {fragment}"
    variables = {name: name == "yes" for name in used}
    expected = {"id": "a", "text": "t"} if selected else {"id": "a"}
    assert await data(text, thing(id="a"), **variables) == {"thing": expected}


async def test_fields_with_the_same_response_key_are_merged() -> None:
    text = """{
      thing { inner { text } ...F inner { id } }
      ... on Query { thing { inner { number text } } }
    }
    fragment F on Thing { inner { ... on Thing { maybe } } id }"""
    inner = thing(id="b", number=1, maybe=None)
    assert (await data(text, thing(inner=inner, id="a"))) == {
        "thing": {"inner": {"text": "t", "maybe": None, "id": "b", "number": 1}, "id": "a"}
    }


async def test_fields_are_in_the_order_of_their_first_selection() -> None:
    text = "{ thing { id laterText ...F text id } } fragment F on Thing { __typename text maybe }"
    record = thing(id="a", maybe=None, later_text="l")
    assert [*(await data(text, record))["thing"]] == ["id", "laterText", "__typename", "text", "maybe"]


async def test_a_field_can_have_several_aliases() -> None:
    text = "{ thing { a: text b: text text c: __typename a: text } }"
    assert await data(text, thing()) == {"thing": {"a": "t", "b": "t", "text": "t", "c": "Thing"}}


async def test_typename_can_be_the_only_field_of_an_object() -> None:
    assert await data("{ __typename many { __typename } }", thing()) == {
        "__typename": "Query",
        "many": [{"__typename": "Thing"}] * 2,
    }
    assert await data("{ many { __typename } }", None) == {"many": [None, None]}


# Completion of values


async def test_values_are_coerced_by_their_types() -> None:
    record = thing(
        id=7,
        number=True,
        ratio=2,
        flag=0,
        color=Color.BLUE,
        colors=("red", None, Color.RED),
        amount=Decimal("1.50"),
        picky="x",
        when=datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
        grid=((1, 2), [3]),
        maybe_grid=[None, [None, 2.0]],
    )
    assert (await data("{ thing { id number ratio flag color colors amount picky when grid maybeGrid } }", record)) == {
        "thing": {
            "id": "7",
            "number": 1,
            "ratio": 2.0,
            "flag": False,
            "color": "BLUE",
            "colors": ["RED", None, "RED"],
            "amount": "1.50",
            "picky": ["x"],
            "when": "2026-03-01T00:00:00+00:00",
            "grid": [[1, 2], [3]],
            "maybeGrid": [None, [None, 2]],
        }
    }


async def test_attributes_may_be_awaitable() -> None:
    async def later(value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    def record() -> Any:
        return thing(maybe=later("m"), inner=later(thing(id="b")), grid=[later([1]), [2]])

    text = "{ maybeThing { text maybe inner { id } grid } }"
    result = await execute_with_plan(SCHEMA, text, record)
    assert outcome(result) == outcome(await execute_with_core(SCHEMA, text, record))
    assert result.data == {"maybeThing": {"text": "t", "maybe": "m", "inner": {"id": "b"}, "grid": [[1], [2]]}}


# Errors


async def test_an_error_makes_its_field_null_and_has_path_and_locations() -> None:
    result = await execute(
        "{ maybeThing { text n: maybe laterThing { id } } }", thing(maybe=[], later_thing=ValueError("x"))
    )
    assert result.data == {"maybeThing": {"text": "t", "n": None, "laterThing": None}}
    assert errors(result) == [
        ("String cannot represent value: []", ["maybeThing", "n"]),
        ("x", ["maybeThing", "laterThing"]),
    ]
    assert [[(place.line, place.column) for place in error.locations or ()] for error in result.errors or ()] == [
        [(1, 21)],
        [(1, 30)],
    ]
    assert isinstance((result.errors or [])[1].original_error, ValueError)


async def test_an_error_has_the_locations_of_all_selections_of_its_field() -> None:
    result = await execute(
        "{ maybeThing { laterThing { id }\n laterThing { text } } }", thing(later_thing=ValueError("x"))
    )
    [error] = result.errors or []
    assert [(place.line, place.column) for place in error.locations or ()] == [(1, 16), (2, 2)]


async def test_a_null_for_a_non_null_type_makes_its_object_null() -> None:
    result = await execute("{ maybeThing { id inner { id } } }", thing(id="a", inner=thing(id=None)))
    assert result.data == {"maybeThing": {"id": "a", "inner": None}}
    assert errors(result) == [(null("Thing.id"), ["maybeThing", "inner", "id"])]


async def test_a_null_propagates_to_the_next_nullable_position() -> None:
    record = thing(sure=thing(sure=thing(id=None)))
    result = await execute("{ maybeThing { sure { sure { id } } } }", record)
    assert result.data == {"maybeThing": None}
    assert errors(result) == [(null("Thing.id"), ["maybeThing", "sure", "sure", "id"])]
    assert (await execute("{ __typename thing { sure { sure { id } } } }", record)).data is None


async def test_a_null_item_makes_its_list_null_unless_items_are_nullable() -> None:
    one_bad = [thing(id="a"), thing(id=None), None]
    result = await execute("{ maybeThing { x: maybeThings { id } } }", thing(maybe_things=one_bad))
    assert result.data == {"maybeThing": {"x": [{"id": "a"}, None, None]}}
    assert errors(result) == [(null("Thing.id"), ["maybeThing", "x", 1, "id"])]
    result = await execute("{ maybeThing { inner { y: things { id } } } }", thing(inner=thing(things=one_bad)))
    assert result.data == {"maybeThing": {"inner": None}}
    assert errors(result) == [(null("Thing.id"), ["maybeThing", "inner", "y", 1, "id"])]


async def test_paths_contain_the_indices_of_nested_lists() -> None:
    record = thing(boxes=[[thing(maybe="m")], [thing(maybe="m"), thing(maybe=[])]], grid=[[1], [2, "x"]])
    result = await execute("{ maybeThing { b: boxes { m: maybe } grid } }", record)
    assert result.data == {"maybeThing": None}
    assert errors(result) == [
        ("String cannot represent value: []", ["maybeThing", "b", 1, 1, "m"]),
        ("Int cannot represent non-integer value: 'x'", ["maybeThing", "grid", 1, 1]),
    ]


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
async def test_a_number_out_of_the_range_of_int_is_an_error(number: int) -> None:
    result = await execute("{ maybeThing { number } }", thing(number=number))
    assert result.data == {"maybeThing": None}
    assert errors(result) == [
        (f"Int cannot represent non 32-bit signed integer value: {number}", ["maybeThing", "number"])
    ]


async def test_a_value_that_is_not_a_list_is_an_error() -> None:
    for value in ("text", {"a": 1}, 7):
        result = await execute("{ maybeThing { maybeGrid } }", thing(maybe_grid=value))
        assert errors(result) == [
            ("Expected Iterable, but did not find one for field 'Thing.maybeGrid'.", ["maybeThing", "maybeGrid"])
        ]


async def test_an_exception_as_a_value_is_an_error() -> None:
    class Refused(ValueError):
        id = "readable"

    result = await execute("{ many { id } }", Refused("no"))
    assert result.data == {"many": [None, None]}
    assert errors(result) == [("no", ["many", 0]), ("no", ["many", 1])]


async def test_a_missing_attribute_is_an_error_of_its_field() -> None:
    result = await execute("{ maybeThing { text maybe } }", thing())
    assert result.data == {"maybeThing": {"text": "t", "maybe": None}}
    assert errors(result) == [("'types.SimpleNamespace' object has no attribute 'maybe'", ["maybeThing", "maybe"])]


@pytest.mark.parametrize("value", ["refused", "nothing", None])
async def test_a_value_that_cannot_be_serialized_is_an_error(value: Any) -> None:
    result = await execute("{ maybeThing { surePicky } }", thing(sure_picky=value))
    assert result.data == {"maybeThing": None}
    assert len(result.errors or ()) == 1


# Resolvers


async def test_arguments_are_constants_variables_and_defaults() -> None:
    text = """query ($n: Int, $names: [String]! = ["z"], $wish: Wish) {
      thing { echo(number: $n, color: BLUE, colors: [RED, BLUE], names: $names, wish: $wish, wishes: [{word: "now"}]) }
    }"""
    for variables in ({}, {"n": 1}, {"n": None, "names": ["a"], "wish": {"times": 2}}):
        echoed = (await data(text, thing(), **variables))["thing"]["echo"]
        assert f"({variables.get('n', 3)}, <Color.BLUE: 2>, [<Color.RED: 'red'>, <Color.BLUE: 2>]" in echoed


async def test_an_omitted_variable_has_its_own_default_or_that_of_the_argument() -> None:
    text = "query ($n: Int = 9, $m: Int) { thing { a: echo(number: $n) b: echo(number: $m) } }"
    echoed = (await data(text, thing()))["thing"]
    assert echoed["a"].startswith("(9, ")
    assert echoed["b"].startswith("(3, ")


async def test_a_resolver_can_modify_its_list_arguments() -> None:
    text = """query ($names: [String]!) { thing {
      a: emptied b: emptied c: emptied(names: ["x", null]) d: emptied(names: $names) e: emptied(names: $names)
    } }"""
    operation = executable(SCHEMA, text)
    for _ in range(2):
        result = await run(operation, {"names": ["v"]}, thing)
        assert result.data == {"thing": {"a": 1, "b": 1, "c": 2, "d": 1, "e": 1}}


async def test_loaders_batch_over_sibling_fields() -> None:
    context = memory.context()
    text = """query ($sku: ID!) {
      a: snapshot(priceList: "retail") { price(sku: $sku) { sku } more: price(sku: "sku-2") { sku } }
      b: snapshot(priceList: "retail") { price(sku: "sku-3") { sku } }
    }"""
    result = await execute_with_plan(OURS, text, context, sku="sku-1")
    assert not result.errors
    [keys] = context.loaders.prices.loader.calls
    assert sorted(sku for _, sku in keys) == ["sku-1", "sku-2", "sku-3"]


async def test_loaders_batch_over_the_items_of_a_list() -> None:
    context = memory.context()
    text = """{ priceList(name: "retail") {
      snapshots { nodes { version batch { sequences } } edges { node { batch { id } } } }
    } }"""
    result = await execute_with_plan(OURS, text, context)
    assert not result.errors
    assert [sorted(keys) for keys in context.loaders.batches.calls] == [["batch-1", "batch-2"]]
    assert [sorted(keys) for keys in context.loaders.part_numbers.calls] == [["batch-1", "batch-2"]]


async def test_an_error_of_a_loader_is_an_error_of_the_fields_that_load_from_it() -> None:
    text = """{ snapshot(priceList: "retail") { good: price(sku: "sku-1") { sku } bad: price(sku: "boom") { sku } } }"""
    result = await execute_with_plan(OURS, text, memory.context())
    assert result.data == {"snapshot": {"good": {"sku": "sku-1"}, "bad": None}}
    assert errors(result) == [("The shelf is on fire.", ["snapshot", "bad"])]


async def test_awaitables_that_are_no_longer_needed_run_to_completion() -> None:
    ended = asyncio.Event()

    class Slow:
        @property
        def later_thing(self) -> None:
            ended.set()

    result = await execute_with_plan(SCHEMA, "{ maybeThing { laterThing { id } text } }", Slow)
    assert result.data == {"maybeThing": None}
    assert not ended.is_set()
    await ended.wait()


async def test_permissions_are_checked() -> None:
    result = await execute('{ thing { a: secret(name: "ann") b: secret(name: "bob") } }', thing())
    assert result.data == {"thing": {"a": "ann", "b": None}}
    assert errors(result) == [("Not for you.", ["thing", "b"])]


# Variables


@pytest.mark.parametrize(
    ("declared", "argument", "variables"),
    [
        ("Int!", "number", {}),
        ("Int!", "number", {"v": None}),
        ("Int", "number", {"v": "one"}),
        ("Int", "number", {"v": 2**31}),
        ("[Color!]", "colors", {"v": ["RED", "PINK", None]}),
        ("Wish", "wish", {"v": {"word": 1, "times": "x", "more": 2}}),
        ("[Wish!]", "wishes", {"v": [{}, None, 7]}),
        ('[String]! = ["a"]', "names", {"v": None}),
        ("[String]!", "names", {"v": [["a"]]}),
    ],
)
async def test_invalid_variables_have_the_errors_of_graphql_core(
    declared: str, argument: str, variables: dict[str, Any]
) -> None:
    text = f"query ($v: {declared}) {{ thing {{ echo({argument}: $v) }} }}"
    result = await execute(text, thing(), **variables)
    assert result.data is None
    assert result.errors
    assert all(error.message.startswith("Variable '$v' ") for error in result.errors)


@pytest.mark.parametrize(
    ("declared", "argument", "value"),
    [
        ("Int", "number", 2.0),
        ("[String!]!", "names", ["a", "b"]),
        ("[String]!", "names", ["a", None]),
        ("[String]!", "names", "a"),
        ("[Color!]", "colors", ["RED"]),
        ("Boolean!", "camelCase", False),
    ],
)
async def test_variables_are_coerced(declared: str, argument: str, value: Any) -> None:
    await data(f"query ($v: {declared}) {{ thing {{ echo({argument}: $v) }} }}", thing(), v=value)
