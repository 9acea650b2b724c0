"""Connections, as the Relay cursor connections specification has them, over any page of records."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import msgspec
import strawberry

from graph.identity.requires import as_parent
from loaders import Page

T = TypeVar("T")


@strawberry.type(description="Where a page stands in its order.")
class PageInfo:
    """Whether there is more, and the cursors of the page's ends."""

    has_next_page: bool = strawberry.field(description="Whether there are records after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there are records before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first record of this page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last record of this page.")


@strawberry.type(description="A record, with its cursor.")
class Edge(Generic[T]):
    """A record at its place in an order."""

    cursor: str = strawberry.field(description="Names this place in the order, for `after` and `before`.")
    node: T = strawberry.field(description="The record.")


class _Edge(msgspec.Struct, frozen=True, gc=False):
    """What is shown as an `Edge`: it takes a fifth of the time to make."""

    cursor: str
    node: Any


@strawberry.type(description="A page of records in an order.")
class Connection(Generic[T]):
    """A page, its cursors, and the count of all records."""

    page: strawberry.Private[Page[Any]]
    cursor: strawberry.Private[Callable[[Any], str]]
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The records of this page with their cursors.")
    @as_parent
    def edges(self) -> list[Edge[T]]:
        """The records of this page with their cursors."""
        return cast("list[Edge[T]]", [_Edge(self.cursor(record), record) for record in self.page.records])

    @strawberry.field(description="The records of this page.")
    @as_parent
    def nodes(self) -> list[T]:
        """The records of this page."""
        return list(self.page.records)

    @strawberry.field(description="Where this page stands.")
    @as_parent
    def page_info(self) -> PageInfo:
        """Where this page stands."""
        records = self.page.records
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=self.cursor(records[0]) if records else None,
            end_cursor=self.cursor(records[-1]) if records else None,
        )

    @strawberry.field(description="How many records there are in all.")
    @as_parent
    async def total_count(self) -> int:
        """How many records there are in all."""
        return await self.count()
