"""A schema in which everything can go wrong, and records in which everything does."""

# mypy: disable-error-code="no-any-return, untyped-decorator"

import asyncio
import datetime
import enum
import math
from collections.abc import AsyncIterator, Generator, Iterator
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, NewType, Optional

import strawberry
from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLOutputType, Undefined
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

Picky = NewType("Picky", object)
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def _picky(value: Any) -> Any:
    if value == "refused":
        raise ValueError("That cannot be written.")
    return None if value == "nothing" else [value]


@strawberry.enum
class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Text(str):
    __slots__ = ()


class Never(BasePermission):
    message = "Not for you."

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return bool(kwargs.get("name") == "ann")


@strawberry.input
class Wish:
    word: str = "please"
    times: int | None = 1


Root = strawberry.Parent[Any]
NAMES: list[str | None] = ["z"]


@strawberry.type
class Thing:
    id: strawberry.ID
    text: str
    maybe: str | None
    number: int
    ratio: float | None
    flag: bool | None
    color: Color
    colors: list[Color | None] | None
    amount: Decimal | None
    picky: Picky | None
    sure_picky: Picky
    when: datetime.datetime | None
    grid: list[list[int]]
    maybe_grid: list[list[int | None] | None] | None
    inner: Optional["Thing"]
    sure: "Thing"
    things: list["Thing"]
    maybe_things: list[Optional["Thing"]] | None
    boxes: list[list["Thing"] | None] | None

    @strawberry.field
    @staticmethod
    def now_text(root: Root) -> str | None:
        return _given(root.now_text)

    @strawberry.field
    @staticmethod
    def now_thing(root: Root, info: strawberry.Info) -> "Thing":
        assert info.field_name == "nowThing"
        return _given(root.now_thing)

    @strawberry.field
    @staticmethod
    async def later_text(root: Root, info: strawberry.Info, after: int = 0) -> str:
        for _ in range(after):
            await asyncio.sleep(0)
        return _given(root.later_text)

    @strawberry.field
    @staticmethod
    async def later_thing(root: Root) -> Optional["Thing"]:
        await asyncio.sleep(0)
        return _given(root.later_thing)

    @strawberry.field
    @staticmethod
    async def later_things(root: Root, info: strawberry.Info) -> list["Thing"]:
        return _given(root.later_things)

    @strawberry.field
    def told(
        self,
        info: strawberry.Info,
        number: int | None = 3,
        color: Color | None = Color.RED,
        colors: list[Color] | None = None,
        names: list[str | None] = NAMES,
        wish: Wish | None = None,
        wishes: list[Wish] | None = None,
        camel_case: bool = True,
    ) -> str:
        """What was given, and what the resolver was told beside it."""
        raw = info._raw_info
        told = (raw.path.as_list(), [*info.variable_values.items()], len(raw.field_nodes), str(raw.parent_type))
        return f"{(number, color, colors, names, wish, wishes, camel_case)} {told} {info.selected_fields}"

    @strawberry.field
    @staticmethod
    def emptied(names: list[str | None] = NAMES) -> int:
        """How many there were, before it took them."""
        count = len(names)
        names.clear()
        return count

    @strawberry.field(permission_classes=[Never])
    @staticmethod
    def secret(name: str) -> str | None:
        return name


@strawberry.type
class Query:
    @strawberry.field(graphql_type=Thing)
    @staticmethod
    async def thing(info: strawberry.Info) -> Any:
        return _given(info.context())

    @strawberry.field(graphql_type=Thing | None)
    @staticmethod
    def maybe_thing(info: strawberry.Info) -> Any:
        return _given(info.context())

    @strawberry.field(graphql_type=list[Thing | None] | None)
    @staticmethod
    def many(info: strawberry.Info) -> Any:
        return [info.context(), info.context()]


def _given(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


SCHEMA = strawberry.Schema(
    Query,
    config=StrawberryConfig(
        scalar_map={Picky: strawberry.scalar(name="Picky", serialize=_picky, parse_value=lambda value: value)}
    ),
)

# A record as data, so that it can be built once for each of two executions: what it holds may be used up by one.
Recipe = tuple[Any, ...]


def build(recipe: Recipe) -> Any:
    """What a recipe is for."""
    kind, *of = recipe
    match kind:
        case "value":
            return of[0]
        case "error":
            return ValueError(of[0])
        case "record":
            return SimpleNamespace(**{name: build(value) for name, value in of[0].items()})
        case "await":
            return Later(of[0])
        case "generator":
            return _generator(of[0])
        case "async generator":
            return _async_generator(of[0])
        case _:
            items = [build(value) for value in of[0]]
            return tuple(items) if kind == "tuple" else items


class Later:
    """An awaitable that is no coroutine: nobody minds if it is never awaited."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __repr__(self) -> str:
        return "Later"

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from asyncio.sleep(0).__await__()
        return _given(build(self._recipe))


def _generator(recipes: list[Recipe]) -> Iterator[Any]:
    yield from map(build, recipes)


async def _async_generator(recipes: list[Recipe]) -> AsyncIterator[Any]:
    for recipe in recipes:
        yield _given(build(recipe))


_RIGHT: dict[str, list[Any]] = {
    "ID": ["a", "b"],
    "String": ["a", "", "ä", Text("t")],
    "Int": [1, -(2**31)],
    "Float": [1.5, 2],
    "Boolean": [True, False],
    "Color": [Color.RED, Color.BLUE],
    "Decimal": [Decimal("1.50"), Decimal("1E+3")],
    "Picky": ["x", {"a": 1}],
    "DateTime": [NOW],
}
_WRONG: list[Any] = [
    None,
    None,
    "red",
    2**31,
    math.nan,
    1.5,
    True,
    "7",
    b"x",
    {},
    [],
    Undefined,
    "refused",
    "nothing",
    object,
]


def recipe(type_: GraphQLOutputType, chance: Random, depth: int = 0) -> Recipe:
    """A record or a value of a type; most of it is right."""
    right = _right(type_, chance, depth)
    match chance.randrange(30):
        case 0:
            return "value", chance.choice(_WRONG)
        case 1:
            return "error", "at once"
        case 2:
            return "await", right
        case 3:
            return "await", ("error", "later")
        case _:
            return right


def _right(type_: GraphQLOutputType, chance: Random, depth: int) -> Recipe:
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    elif depth > 1:
        return "value", None
    if isinstance(type_, GraphQLList):
        kind = chance.choice(["list"] * 8 + ["tuple", "generator", "async generator"])
        return kind, [recipe(type_.of_type, chance, depth) for _ in range(chance.randrange(4) if depth < 2 else 0)]
    if isinstance(type_, GraphQLObjectType):
        if depth > 2:
            return "value", None
        fields = type_.fields.items()
        return "record", {_attribute(name): recipe(field.type, chance, depth + 1) for name, field in fields}
    return "value", chance.choice(_RIGHT[type_.name])


def _attribute(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
