"""A schema with every kind of field, and random records with every kind of invalid value."""

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

from graph.execution.attributes import attribute

Picky = NewType("Picky", object)
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def _picky(value: Any) -> Any:
    if value == "refused":
        raise ValueError("Cannot be serialized.")
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
    text_within: str | None = strawberry.field(resolver=attribute("sure.text"))

    @strawberry.field
    @staticmethod
    def now_text(root: Root) -> str | None:
        return _raise_or_return(root.now_text)

    @strawberry.field
    @staticmethod
    def now_thing(root: Root, info: strawberry.Info) -> "Thing":
        assert info.field_name == "nowThing"
        return _raise_or_return(root.now_thing)

    @strawberry.field
    @staticmethod
    async def later_text(root: Root, info: strawberry.Info, after: int = 0) -> str:
        for _ in range(after):
            await asyncio.sleep(0)
        return _raise_or_return(root.later_text)

    @strawberry.field
    @staticmethod
    async def later_thing(root: Root) -> Optional["Thing"]:
        await asyncio.sleep(0)
        return _raise_or_return(root.later_thing)

    @strawberry.field
    @staticmethod
    async def later_things(root: Root, info: strawberry.Info) -> list["Thing"]:
        return _raise_or_return(root.later_things)

    @strawberry.field
    def echo(
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
        """The arguments and the `info` of the resolver."""
        raw = info._raw_info
        seen = (raw.path.as_list(), [*info.variable_values.items()], len(raw.field_nodes), str(raw.parent_type))
        return f"{(number, color, colors, names, wish, wishes, camel_case)} {seen} {info.selected_fields}"

    @strawberry.field
    @staticmethod
    def emptied(names: list[str | None] = NAMES) -> int:
        """Empty a list argument, and return its length before."""
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
        return _raise_or_return(info.context())

    @strawberry.field(graphql_type=Thing | None)
    @staticmethod
    def maybe_thing(info: strawberry.Info) -> Any:
        return _raise_or_return(info.context())

    @strawberry.field(graphql_type=list[Thing | None] | None)
    @staticmethod
    def many(info: strawberry.Info) -> Any:
        return [info.context(), info.context()]


def _raise_or_return(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


SCHEMA = strawberry.Schema(
    Query,
    config=StrawberryConfig(
        scalar_map={Picky: strawberry.scalar(name="Picky", serialize=_picky, parse_value=lambda value: value)}
    ),
)

Recipe = tuple[Any, ...]
"""A record as data, to be built for each of two executions: an execution consumes iterators and awaitables."""


def build(recipe: Recipe) -> Any:
    """Build the value of a recipe."""
    kind, *arguments = recipe
    match kind:
        case "value":
            return arguments[0]
        case "error":
            return ValueError(arguments[0])
        case "record":
            return SimpleNamespace(**{name: build(value) for name, value in arguments[0].items()})
        case "await":
            return Later(arguments[0])
        case "future":
            return _future(arguments[0])
        case "generator":
            return _generator(arguments[0])
        case "async generator":
            return _async_generator(arguments[0])
        case _:
            items = [build(value) for value in arguments[0]]
            return tuple(items) if kind == "tuple" else items


class Later:
    """An awaitable that is not a coroutine, so that there is no warning if it is never awaited."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def __repr__(self) -> str:
        return "Later"

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from asyncio.sleep(0).__await__()
        return _raise_or_return(build(self._recipe))


def _future(recipe: Recipe) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    value = build(recipe)
    if isinstance(value, Exception):
        future.set_exception(value)
        future.exception()  # or there would be a warning if it is never awaited
    else:
        future.set_result(value)
    return future


def _generator(recipes: list[Recipe]) -> Iterator[Any]:
    yield from map(build, recipes)


async def _async_generator(recipes: list[Recipe]) -> AsyncIterator[Any]:
    for recipe in recipes:
        yield _raise_or_return(build(recipe))


_VALID: dict[str, list[Any]] = {
    "ID": ["a", "b"],
    "String": ["a", "", "ä", Text("t"), '"\\/\b\n\x00\x7f\u2028\U0001f600%s{}'],
    "Int": [1, -(2**31)],
    "Float": [1.5, 2],
    "Boolean": [True, False],
    "Color": [Color.RED, Color.BLUE],
    "Decimal": [Decimal("1.50"), Decimal("1E+3")],
    "Picky": ["x", {"a": 1}],
    "DateTime": [NOW],
}
_INVALID: list[Any] = [
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


def recipe(type_: GraphQLOutputType, random: Random, depth: int = 0) -> Recipe:
    """A record or a value of a type, mostly valid."""
    valid = _valid(type_, random, depth)
    match random.randrange(30):
        case 0:
            return "value", random.choice(_INVALID)
        case 1:
            return "error", "at once"
        case 2:
            return "await", valid
        case 3:
            return "await", ("error", "later")
        case _:
            return valid


def with_futures(recipe: Recipe) -> Recipe:
    """A recipe with a future, whose result is known, for every other awaitable."""
    match recipe:
        case ("await", value):
            return "future", with_futures(value)
        case ("record", fields):
            return "record", {name: with_futures(value) for name, value in fields.items()}
        case (kind, [*items]):
            return kind, [with_futures(item) for item in items]
        case _:
            return recipe


def _valid(type_: GraphQLOutputType, random: Random, depth: int) -> Recipe:
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    elif depth > 1:
        return "value", None
    if isinstance(type_, GraphQLList):
        kind = random.choice(["list"] * 8 + ["tuple", "generator", "async generator"])
        return kind, [recipe(type_.of_type, random, depth) for _ in range(random.randrange(4) if depth < 2 else 0)]
    if isinstance(type_, GraphQLObjectType):
        if depth > 2:
            return "value", None
        fields = type_.fields.items()
        return "record", {_attribute(name): recipe(field.type, random, depth + 1) for name, field in fields}
    return "value", random.choice(_VALID[type_.name])


def _attribute(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
