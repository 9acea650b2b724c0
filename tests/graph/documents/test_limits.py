"""Documents and operations over a limit on shape or cost are rejected before they are executed."""

from typing import Any

import pytest
from graphql import GraphQLError, OperationType, parse
from hypothesis import given
from hypothesis import strategies as st

from graph.documents.document import Documents
from graph.documents.errors import RequestErrors
from graph.documents.shape import check_shape
from graph.limits.limits import DEFAULT_LIMITS, Limits, OverLimit
from graph.schema.build import build_schema

SCHEMA = build_schema()._schema


def exceeded(code: str, document: str, limits: Limits) -> str:
    """The message of the error for a document that exceeds a limit."""
    with pytest.raises(OverLimit) as caught:
        check_shape(parse(document), limits)
    assert caught.value.code == code
    return caught.value.message


def errors(document: str, limits: Limits = DEFAULT_LIMITS) -> list[GraphQLError]:
    """The errors of an invalid document."""
    with pytest.raises(RequestErrors) as caught:
        Documents(SCHEMA, limits).get(document)
    return caught.value.errors


def cost(document: str, **variables: Any) -> int:
    """The cost of an operation, from the error under a limit of 0."""
    operation = Documents(SCHEMA, Limits(cost=0)).get(document).operation(None)
    assert operation is not None
    coerced = operation.executable.coerce(variables)
    assert not isinstance(coerced, list), coerced
    with pytest.raises(OverLimit) as caught:
        operation.cost.check(coerced.coerced)
    assert caught.value.code == "QUERY_TOO_COSTLY"
    return int(caught.value.message.split()[6])


@given(st.integers(1, 30), st.integers(1, 30))
def test_fields_can_be_nested_up_to_the_limit(depth: int, allowed: int) -> None:
    document = "{" + "a{" * (depth - 1) + "b" + "}" * (depth - 1) + "}"
    if depth <= allowed:
        check_shape(parse(document), Limits(depth=allowed))
    else:
        assert f"at most {allowed} levels" in exceeded("QUERY_TOO_DEEP", document, Limits(depth=allowed))


def test_fragments_do_not_hide_depth() -> None:
    document = "{ ...A } fragment A on Query { a { ...B } } fragment B on X { b { ... { c { d } } } }"
    check_shape(parse(document), Limits(depth=4))
    exceeded("QUERY_TOO_DEEP", document, Limits(depth=3))


def test_aliases_in_a_fragment_count_at_every_spread() -> None:
    document = "{ x: a { ...A } y: a { ...A } } fragment A on X { p: b q: b }"
    check_shape(parse(document), Limits(aliases=6))
    assert "6 aliases; the limit is 5" in exceeded("TOO_MANY_ALIASES", document, Limits(aliases=5))


def test_fragments_that_expand_exponentially_are_rejected() -> None:
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60)]
    exceeded("QUERY_TOO_LARGE", " ".join(["{ ...F0 }", *fragments, "fragment F60 on Query { a }"]), Limits())


def test_fragments_that_spread_each_other_are_rejected() -> None:
    exceeded("QUERY_TOO_LARGE", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", Limits())


PAGE = (
    'query ($n: Int, $l: Int) { snapshot(priceList: "a") { prices(first: $n, last: $l) { totalCount nodes { sku } } } }'
)


def test_a_page_costs_the_number_of_its_records() -> None:
    one = '{ snapshot(priceList: "a") { price(sku: "s") { amount } } }'
    assert cost(one) == 2
    assert cost('{ snapshot(priceList: "a") { pricesBySku(skus: ["a", "b", "c"]) { amount } } }') == 1 + 3
    assert cost('{ snapshot(priceList: "a") { prices(first: 7) { nodes { sku } } } }') == 1 + 1 + 7
    assert cost('{ snapshot(priceList: "a") { prices { nodes { sku } } } }') == 1 + 1 + 100
    assert (
        cost('{ snapshot(priceList: "a") { prices(first: 7) { edges { node { sku } } pageInfo { endCursor } } } }')
        == 17
    )


def test_the_cost_of_fields_in_a_list_is_multiplied_by_its_length() -> None:
    history = '{ snapshot(priceList: "a") { prices(first: 50) { nodes { history(first: 20) { price { sku } } } } } }'
    assert cost(history) == 1 + 1 + 50 * (1 + 20 * (1 + 1))


def test_periods_and_the_items_of_a_release_have_an_assumed_number() -> None:
    timeline = (
        '{ snapshot(priceList: "a") { price(sku: "s") { timeline(since: "2026-01-01T00:00:00Z") { price { sku } } } } }'
    )
    assert cost(timeline) == 1 + 1 + 100 * (1 + 1)
    assert cost('{ priceList(name: "a") { exposures(version: 1) { event { id } } } }') == 1 + 1000 * (1 + 1)
    diff = '{ priceList(name: "a") { diff(from: 1, to: 2, first: 9) { %s } } }'
    assert cost(diff % "distribution { count }") == 1 + 1 + 13
    assert cost(diff % "largest(first: 50) { before { sku } }") == 1 + 1 + 50 * (1 + 1)
    assert cost('{ release(id: "x") { items { priceList { name } batch { id } } } }') == 1 + 100 * (1 + 1 + 1)


TIMELINE = 'timeline(since: "2026-01-01T00:00:00Z")'
NESTED = {
    "a timeline": f"{TIMELINE} {{ price {{ {TIMELINE} {{ version }} }} }}",
    "a lowest price": f"{TIMELINE} {{ price {{ lowest {{ amount }} }} }}",
    "an alias": f"a: {TIMELINE} {{ b: price {{ c: {TIMELINE} {{ version }} }} }}",
    "a fragment": f"{TIMELINE} {{ ...P }}",
    "an inline fragment": f"{TIMELINE} {{ price {{ ... {{ ... on Price {{ lowest {{ amount }} }} }} }} }}",
    "a condition": f"{TIMELINE} {{ price {{ lowest @include(if: false) {{ amount }} }} }}",
    "a history between": f"{TIMELINE} {{ price {{ history(first: 1) {{ price {{ {TIMELINE} {{ version }} }} }} }} }}",
}
PERIOD = "fragment P on PricePeriod { price { ...Q } } fragment Q on Price { lowest { amount } }"


@pytest.mark.parametrize("name", NESTED)
def test_what_is_the_same_for_each_period_cannot_be_selected_within_a_timeline(name: str) -> None:
    fragments = PERIOD if "...P" in NESTED[name] else ""
    for around in ('snapshot(priceList: "a") { price(sku: "s") { %s } }', 'node(id: "x") { ... on Price { %s } }'):
        document = f"{{ {around % NESTED[name]} }} {fragments}"
        operation = Documents(SCHEMA, DEFAULT_LIMITS).get(document).operation(None)
        assert operation is not None
        for _ in range(2):
            with pytest.raises(OverLimit, match="is selected within a `timeline`, where it is the same") as caught:
                operation.cost.check({})
            assert caught.value.code == "TIMELINE_NESTED"


def test_timelines_and_lowest_prices_stand_beside_each_other() -> None:
    fields = f"a: {TIMELINE} {{ price {{ history {{ version }} }} }} b: {TIMELINE} {{ ...P }} lowest {{ amount }}"
    document = (
        f'{{ snapshot(priceList: "a") {{ price(sku: "s") {{ {fields} }} }} }} fragment P on PricePeriod {{ version }}'
    )
    operation = Documents(SCHEMA, DEFAULT_LIMITS).get(document).operation(None)
    assert operation is not None
    operation.cost.check({})


def test_variables_decide_the_cost_of_each_request() -> None:
    assert cost(PAGE, n=5) == 1 + 1 + 5
    assert cost(PAGE, n=5, l=9) == 1 + 1 + 9
    assert cost(PAGE) == 1 + 1 + 100
    lines = 'query ($l: [QuoteLineInput!]!) { snapshot(priceList: "a") { quote(lines: $l) { lines { sku } } } }'
    assert cost(lines, l=[{"sku": "a", "quantity": 1}] * 4) == 1 + 1 + 4


def test_fragments_aliases_and_conditions_do_not_hide_cost() -> None:
    document = """query ($c: Boolean!) {
      a: snapshot(priceList: "a") { ...P }
      b: snapshot(priceList: "a") { ... { ...P } }
      c: snapshot(priceList: "a") @skip(if: $c) { size }
    } fragment P on Snapshot { prices(first: 10) { nodes { sku } } }"""
    assert cost(document, c=True) == 2 * (1 + 1 + 10) + 1


def test_a_page_over_the_limit_is_rejected_with_both_numbers() -> None:
    operation = Documents(SCHEMA, Limits(page=50)).get(PAGE).operation(None)
    assert operation is not None
    operation.cost.check({"n": 50})
    with pytest.raises(OverLimit, match="`prices` requests 51 records at once; the limit is 50") as caught:
        operation.cost.check({"n": 51})
    assert caught.value.code == "PAGE_TOO_LARGE"


def test_mutations_and_subscriptions_have_a_cost_too() -> None:
    for text, kind in [
        ("mutation { m: rollback(input: {}) { priceList { name } } }", OperationType.MUTATION),
        ('subscription { published(priceList: "a") { version } }', OperationType.SUBSCRIPTION),
    ]:
        node = parse(text).definitions[0]
        assert node.operation is kind  # type: ignore[attr-defined]
    assert cost('subscription { published(priceList: "a") { version } }') == 1


def test_introspection_can_be_disabled() -> None:
    text = "{ __schema { queryType { name } } }"
    assert Documents(SCHEMA, Limits()).get(text)
    refused = errors(text, Limits(introspection=False))
    assert [error.extensions and error.extensions["code"] for error in refused] == ["GRAPHQL_VALIDATION_FAILED"] * 2
    assert Documents(SCHEMA, Limits(introspection=False)).get("{ __typename }")


def test_errors_have_no_suggestions_without_introspection() -> None:
    for introspection in (True, False):
        [error] = errors("{ priceListz { totalCount } }", Limits(introspection=introspection))
        assert ("Did you mean" in error.message) is introspection


def test_the_tokens_of_a_document_are_not_linked() -> None:
    node = Documents(SCHEMA, Limits()).get("{ priceLists { totalCount } }").node
    assert node.loc is not None
    assert node.loc.start_token.next is None
    assert node.loc.end_token.prev is None


def test_the_cost_of_a_node_counts_the_fields_of_every_type_that_it_may_have() -> None:
    document = """{ node(id: "x") { ... on Snapshot { prices(first: 50) { nodes { tiers { amount } } } }
      ...L } } fragment L on PriceList { snapshots(first: 20) { nodes { size } } }"""
    prices = 1 + 50 * (1 + 10)
    snapshots = 1 + 20
    assert cost(document) == 1 + prices + snapshots
