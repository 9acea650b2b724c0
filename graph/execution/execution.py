"""One execution of a plan, by section 6 of the specification.

Everything is tried the plain way first, see `graph.execution.projection`; what is here is the careful one, which
waits for what is awaitable, knows what may be null, and gives every error its path.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from contextlib import suppress
from types import CoroutineType
from typing import Any, cast

from graphql import GraphQLError, Undefined, located_error
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel, inspect, is_awaitable, is_iterable

from graph.execution.background import settle
from graph.execution.plan import Field, Kind, Leaf, Many, Selection


class Run:
    """The state of one execution. What is not complete yet is a coroutine of ours, and that is how it is known."""

    __slots__ = ("_nulled", "context", "errors", "root", "variables")

    def __init__(self, root: Any, context: Any, variables: VariableValues) -> None:
        self.root = root
        self.context = context
        self.variables = variables
        self.errors: list[GraphQLError] = []
        self._nulled: set[Path | None] = set()

    async def execute(self, selection: Selection) -> dict[str, Any] | None:
        """Return what is selected of the root. The errors are in `errors` then."""
        try:
            data: Any = self._select(selection, self.root, None)
            if data.__class__ is CoroutineType:
                data = await data
        except GraphQLError as error:
            self._add(error, None)
            return None
        else:
            return cast("dict[str, Any]", data)

    def _select(self, selection: Selection, source: Any, path: Path | None) -> Any:
        """Return the fields of an object. All resolvers are called before the first is awaited, so that they batch."""
        results: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for field in selection.fields:
                if field.project is not None:
                    try:
                        results[field.key] = field.project(source)
                        continue
                    except Exception:  # noqa: S110  # comes again, with its place, the careful way
                        pass
                result = self._resolve(field, source, Path(path, field.key, field.site.parent.name))
                results[field.key] = result
                if result.__class__ is CoroutineType:
                    waiting.append(field.key)
        except Exception:
            settle([results[key] for key in waiting])
            raise
        return _complete(results, waiting) if waiting else results

    def _resolve(self, field: Field, source: Any, path: Path) -> Any:
        try:
            value = field.resolve(self, source, path)
        except Exception as error:
            return self._fail(error, field, field.kind, path)
        return self._position(field, field.kind, value, path)

    def _position(self, field: Field, kind: Kind, value: Any, path: Path) -> Any:
        """Complete the value at a position of the answer, a field or an item of a list: errors end here, or go on."""
        if is_awaitable(value):
            return self._await_value(field, kind, value, path)
        try:
            completed = self._complete(field, kind, value, path)
        except Exception as error:
            return self._fail(error, field, kind, path)
        if completed.__class__ is CoroutineType:
            return self._await_completed(field, kind, completed, path)
        return completed

    async def _await_value(self, field: Field, kind: Kind, value: Awaitable[Any], path: Path) -> Any:
        try:
            completed = self._complete(field, kind, await value, path)
            return await completed if completed.__class__ is CoroutineType else completed
        except Exception as error:
            return self._fail(error, field, kind, path)

    async def _await_completed(self, field: Field, kind: Kind, completed: Awaitable[Any], path: Path) -> Any:
        try:
            return await completed
        except Exception as error:
            return self._fail(error, field, kind, path)

    def _complete(self, field: Field, kind: Kind, value: Any, path: Path) -> Any:
        if kind.project is not None:
            try:
                return kind.project(value)
            except Exception:  # noqa: S110  # comes again, with its place, below
                pass
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            if kind.non_null:
                raise TypeError(f"Cannot return null for non-nullable field {field.site.coordinate}.")
            return None
        if isinstance(kind, Leaf):
            return _complete_leaf(kind, value)
        if isinstance(kind, Many):
            return self._complete_list(field, kind, value, path)
        return self._select(kind.selection, value, path)

    def _complete_list(self, field: Field, kind: Many, values: Any, path: Path) -> Any:
        if hasattr(values, "__aiter__"):
            return self._complete_async_iterable(field, kind, values, path)
        if not is_iterable(values):
            raise GraphQLError(f"Expected Iterable, but did not find one for field '{field.site.coordinate}'.")
        results: list[Any] = []
        waiting: list[int] = []
        iterator = iter(values)
        try:
            for index, value in enumerate(iterator):
                result = self._position(field, kind.item, value, Path(path, index, None))
                results.append(result)
                if result.__class__ is CoroutineType:
                    waiting.append(index)
        except Exception:
            left = [results[index] for index in waiting]
            with suppress(Exception):
                left.extend(value for value in iterator if is_awaitable(value))
            settle(left)
            raise
        return _complete(results, waiting) if waiting else results

    async def _complete_async_iterable(self, field: Field, kind: Many, values: AsyncIterable[Any], path: Path) -> Any:
        results: list[Any] = []
        waiting: list[int] = []
        try:
            async for value in values:
                index = len(results)
                result = self._position(field, kind.item, value, Path(path, index, None))
                results.append(result)
                if result.__class__ is CoroutineType:
                    waiting.append(index)
        except Exception:
            if isinstance(values, AsyncGenerator):
                with suppress(Exception):
                    await values.aclose()
            settle([results[index] for index in waiting])
            raise
        return await _complete(results, waiting)

    def _fail(self, error: Exception, field: Field, kind: Kind, path: Path) -> None:
        """Make a position null for an error, or hand it on to the position above where null is not allowed."""
        located = located_error(error, field.site.nodes, path.as_list())
        if kind.non_null:
            raise located
        self._add(located, path)

    def _add(self, error: GraphQLError, path: Path | None) -> None:
        # What happens below a position that is null by now is not told any more.
        above = path
        while above is not None:
            if above in self._nulled:
                return
            above = above.prev
        if None not in self._nulled:
            self._nulled.add(path)
            self.errors.append(error)


async def _complete(results: Any, waiting: list[Any]) -> Any:
    """Put in place what some results, by their keys or indices, come to."""
    if len(waiting) == 1:
        key = waiting[0]
        results[key] = await results[key]
    elif waiting:
        completed = await gather_with_cancel(*[results[key] for key in waiting])
        for key, result in zip(waiting, completed, strict=True):
            results[key] = result
    return results


def _complete_leaf(kind: Leaf, value: Any) -> Any:
    completed = kind.type_.coerce_output_value(value)
    if completed is None or completed is Undefined:
        raise TypeError(
            f"Expected `{inspect(kind.type_)}.coerce_output_value({inspect(value)})` to return non-nullable value, "
            f"returned: {inspect(completed)}"
        )
    return completed
