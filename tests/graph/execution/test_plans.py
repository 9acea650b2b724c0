"""When a plan is compiled, when it is reused, and which operations graphql-core executes."""

from typing import Any

import graphql
import pytest
from graphql import OperationType

from graph.documents.document import Documents
from graph.execution import compiler, executable
from graph.execution.executable import MAX_PLANS, Executable
from graph.schema.build import build_schema
from tests.graph.execution import memory
from tests.graph.execution.differential import executable as make_executable
from tests.graph.execution.differential import execute_with_core, outcome, run

SCHEMA = build_schema()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, bool]]:
    """The values of the condition variables for which plans were compiled."""
    conditions: list[dict[str, bool]] = []

    class Compiler(compiler.Compiler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            conditions.append(given[-1])

    monkeypatch.setattr(executable, "Compiler", Compiler)
    return conditions


@pytest.fixture
def executed_by_core(monkeypatch: pytest.MonkeyPatch) -> list[OperationType]:
    """The operations that graphql-core executed."""
    operations: list[OperationType] = []
    execute = graphql.execute

    def record(graphql_schema: Any, document: Any, *given: Any, **more: Any) -> Any:
        operations.append(document.definitions[0].operation)
        return execute(graphql_schema, document, *given, **more)

    monkeypatch.setattr(executable, "execute", record)
    return operations


async def data(operation: Executable, **variables: Any) -> Any:
    result = await run(operation, variables, memory.context())
    assert not result.errors, result.errors
    return result.data


async def test_a_plan_is_compiled_once_for_a_document(compiled: list[dict[str, bool]]) -> None:
    documents = Documents(SCHEMA._schema)
    text = 'query ($sku: ID!) { snapshot(priceList: "retail") { price(sku: $sku) { sku } } }'
    for sku in ("sku-1", "sku-2", "nope"):
        operation = documents.get(text).operation(None)
        assert operation
        price = {"sku": sku} if sku != "nope" else None
        assert await data(operation.executable, sku=sku) == {"snapshot": {"price": price}}
    assert compiled == [{}]


async def test_each_operation_of_a_document_has_a_plan_of_its_own(compiled: list[dict[str, bool]]) -> None:
    document = Documents(SCHEMA._schema).get(
        'query A { snapshot(priceList: "retail") { version } } query B { snapshot(priceList: "retail") { size } }'
    )
    for _ in range(2):
        for name, expected in (("A", {"version": 2}), ("B", {"size": 5})):
            operation = document.operation(name)
            assert operation
            assert await data(operation.executable) == {"snapshot": expected}
    assert len(compiled) == 2


async def test_a_plan_is_compiled_for_each_combination_of_condition_values(
    compiled: list[dict[str, bool]],
) -> None:
    operation = make_executable(
        SCHEMA,
        """query ($size: Boolean!, $price: Boolean! = false) {
          snapshot(priceList: "retail") {
            version size @include(if: $size) price(sku: "sku-1") @skip(if: $price) { sku }
          }
        }""",
    )
    for _ in range(2):
        assert await data(operation, size=True, price=True) == {"snapshot": {"version": 2, "size": 5}}
        assert await data(operation, size=False) == {"snapshot": {"version": 2, "price": {"sku": "sku-1"}}}
        assert await data(operation, size=False, price=True) == {"snapshot": {"version": 2}}
    assert compiled == [
        {"size": True, "price": True},
        {"size": False, "price": False},
        {"size": False, "price": True},
    ]


async def test_the_number_of_plans_of_an_operation_is_limited(compiled: list[dict[str, bool]]) -> None:
    names = [f"v{number}" for number in range(6)]
    operation = make_executable(
        SCHEMA,
        f"query ({' '.join(f'${name}: Boolean!' for name in names)}) {{ priceLists {{ totalCount "
        + " ".join(f"{name}: __typename @include(if: ${name})" for name in names)
        + " } }",
    )
    for number in range(2**6):
        values = {name: bool(number >> bit & 1) for bit, name in enumerate(names)}
        assert len((await data(operation, **values))["priceLists"]) == 1 + sum(values.values())
    assert len(compiled) == 2**6
    assert len(operation._plans) == MAX_PLANS


INTROSPECTION = {
    "schema": "{ __schema { queryType { name } } }",
    "type": '{ __type(name: "Price") { fields { name } } }',
    "in a fragment": "{ ...F } fragment F on Query { ... { __schema { queryType { name } } } }",
}


@pytest.mark.parametrize("text", INTROSPECTION.values(), ids=INTROSPECTION)
async def test_introspection_is_executed_by_graphql_core(text: str, executed_by_core: list[OperationType]) -> None:
    assert outcome(await run(make_executable(SCHEMA, text), {}, memory.context())) == outcome(
        await execute_with_core(SCHEMA, text)
    )
    assert executed_by_core == [OperationType.QUERY]


async def test_mutations_are_executed_by_graphql_core(executed_by_core: list[OperationType]) -> None:
    text = 'mutation { abortBatch(input: {batch: "b"}) { userErrors { code } } }'
    result = await run(make_executable(SCHEMA, text), {}, memory.context())
    assert executed_by_core == [OperationType.MUTATION]
    [error] = result.errors or []
    assert error.path == ["abortBatch"]


async def test_a_query_is_executed_by_a_plan(executed_by_core: list[OperationType]) -> None:
    await data(
        make_executable(
            SCHEMA,
            '{ __typename snapshot(priceList: "retail") { version batch { id sequences } prices { totalCount } } }',
        )
    )
    assert executed_by_core == []


async def test_a_null_condition_is_executed_by_graphql_core(executed_by_core: list[OperationType]) -> None:
    text = "query ($v: Boolean = true) { priceLists { totalCount @include(if: $v) nodes { name } } }"
    result = await run(make_executable(SCHEMA, text), {"v": None}, memory.context())
    assert outcome(result) == outcome(await execute_with_core(SCHEMA, text, memory.context(), v=None))
    assert result.errors
    assert executed_by_core


async def test_an_operation_with_too_many_fields_is_executed_by_graphql_core(
    executed_by_core: list[OperationType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "MAX_FIELDS", 5)
    few = '{ snapshot(priceList: "retail") { version prices { nodes { sku } } } }'
    many = '{ snapshot(priceList: "retail") { version prices { nodes { sku amount } } } }'
    assert len((await data(make_executable(SCHEMA, few)))["snapshot"]["prices"]["nodes"]) == 5
    assert executed_by_core == []
    assert len((await data(make_executable(SCHEMA, many)))["snapshot"]["prices"]["nodes"]) == 5
    assert executed_by_core == [OperationType.QUERY]
