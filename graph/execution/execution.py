"""Execution of a plan, by sections 6.3 and 6.4 of the specification.

Each value is first tried with its projection (`graph.execution.projection`). If that fails, the algorithm here
completes it: it awaits awaitables, propagates nulls, and gives every error its path.
"""

from asyncio import Future
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Coroutine, Generator, Sequence
from contextlib import suppress
from types import CoroutineType
from typing import Any, cast

from graphql import GraphQLError, Undefined, located_error
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, gather_with_cancel, inspect, is_awaitable, is_iterable

from graph.execution.background import run_in_background
from graph.execution.plan import Completion, Field, LeafCompletion, ListCompletion, Selection
from graph.execution.state import ExecutionState


class _Started:
    """A coroutine of `Execution` that waits for nothing but futures: its work runs already.

    So several are awaited one after the other. Other coroutines need a task each, to start before the first ends.
    """

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.coroutine.__await__()


_PENDING: frozenset[type] = frozenset({CoroutineType, _Started})
"""The classes of results that have to be awaited."""


class Execution(ExecutionState):
    """One execution. The results of fields are complete, except those of a class of `_PENDING`."""

    __slots__ = ("_nulled", "errors")

    def __init__(self, root: Any, context: Any, variables: VariableValues) -> None:
        self.root = root
        self.context = context
        self.variables = variables
        self.errors: list[GraphQLError] = []
        self._nulled: set[Path | None] = set()

    async def execute(self, selection: Selection) -> dict[str, Any] | None:
        """Return the data of the response, None if the root is null. The errors are in `errors` afterwards."""
        try:
            data: Any = self._select(selection, self.root, None)
            if data.__class__ in _PENDING:
                data = await cast("Awaitable[Any]", data)
        except GraphQLError as error:
            self._add(error, None)
            return None
        else:
            return cast("dict[str, Any]", data)

    def _select(self, selection: Selection, source: Any, path: Path | None) -> Any:
        """Return the fields of an object. Calls all resolvers before it awaits the first, so that loaders batch."""
        results: dict[str, Any] = {}
        pending: list[str] = []
        try:
            for field in selection.fields:
                if field.project is not None:
                    try:
                        results[field.key] = field.project(source)
                        continue
                    except Exception:  # noqa: S110  # raised again below, with its path
                        pass
                result = self._resolve(field, source, Path(path, field.key, field.selected.parent.name))
                results[field.key] = result
                if result.__class__ in _PENDING:
                    pending.append(field.key)
        except Exception:
            run_in_background([results[key] for key in pending])
            raise
        return _awaiting(results, pending) if pending else results

    def _resolve(self, field: Field, source: Any, path: Path) -> Any:
        try:
            value = field.resolve(self, source, path)
        except Exception as error:
            return self._handle_error(error, field, field.completion, path)
        return self._complete_position(field, field.completion, value, path)

    def _complete_position(self, field: Field, completion: Completion, value: Any, path: Path) -> Any:
        """Complete the value of a response position, a field or a list item, and handle its errors."""
        if is_awaitable(value):
            awaited = self._await_value(field, completion, value, path)
            # What is not projected may have resolvers of its own, which have to be called together with others.
            return _Started(awaited) if isinstance(value, Future) and completion.project is not None else awaited
        try:
            completed = self._complete(field, completion, value, path)
        except Exception as error:
            return self._handle_error(error, field, completion, path)
        if completed.__class__ is CoroutineType:
            return self._await_completed(field, completion, completed, path)
        if completed.__class__ is _Started:
            return _Started(self._await_completed(field, completion, completed, path))
        return completed

    async def _await_value(self, field: Field, completion: Completion, value: Awaitable[Any], path: Path) -> Any:
        try:
            completed = self._complete(field, completion, await value, path)
            return await cast("Awaitable[Any]", completed) if completed.__class__ in _PENDING else completed
        except Exception as error:
            return self._handle_error(error, field, completion, path)

    async def _await_completed(
        self, field: Field, completion: Completion, completed: Awaitable[Any], path: Path
    ) -> Any:
        try:
            return await completed
        except Exception as error:
            return self._handle_error(error, field, completion, path)

    def _complete(self, field: Field, completion: Completion, value: Any, path: Path) -> Any:
        if completion.project is not None:
            try:
                return completion.project(value)
            except Exception:  # noqa: S110  # raised again below, with its path
                pass
        if isinstance(value, Exception):
            raise value
        if value is None or value is Undefined:
            if completion.non_null:
                raise TypeError(f"Cannot return null for non-nullable field {field.selected.coordinate}.")
            return None
        if isinstance(completion, LeafCompletion):
            return _complete_leaf(completion, value)
        if isinstance(completion, ListCompletion):
            return self._complete_list(field, completion, value, path)
        return self._select(completion.selection, value, path)

    def _complete_list(self, field: Field, completion: ListCompletion, values: Any, path: Path) -> Any:
        if hasattr(values, "__aiter__"):
            return self._complete_async_iterable(field, completion, values, path)
        if not is_iterable(values):
            raise GraphQLError(f"Expected Iterable, but did not find one for field '{field.selected.coordinate}'.")
        results: list[Any] = []
        pending: list[int] = []
        iterator = iter(values)
        try:
            for index, value in enumerate(iterator):
                result = self._complete_position(field, completion.item, value, Path(path, index, None))
                results.append(result)
                if result.__class__ in _PENDING:
                    pending.append(index)
        except Exception:
            awaitables = [results[index] for index in pending]
            with suppress(Exception):
                awaitables.extend(value for value in iterator if is_awaitable(value))
            run_in_background(awaitables)
            raise
        return _awaiting(results, pending) if pending else results

    async def _complete_async_iterable(
        self, field: Field, completion: ListCompletion, values: AsyncIterable[Any], path: Path
    ) -> Any:
        results: list[Any] = []
        pending: list[int] = []
        try:
            async for value in values:
                index = len(results)
                result = self._complete_position(field, completion.item, value, Path(path, index, None))
                results.append(result)
                if result.__class__ in _PENDING:
                    pending.append(index)
        except Exception:
            if isinstance(values, AsyncGenerator):
                with suppress(Exception):
                    await values.aclose()
            run_in_background([results[index] for index in pending])
            raise
        return await _awaiting(results, pending) if pending else results

    def _handle_error(self, error: Exception, field: Field, completion: Completion, path: Path) -> None:
        """Make a position null and record its error; raise the error to the parent position if the type is non-null."""
        located = located_error(error, field.selected.nodes, path.as_list())
        if completion.non_null:
            raise located
        self._add(located, path)

    def _add(self, error: GraphQLError, path: Path | None) -> None:
        # Errors below a position that is already null are discarded.
        position = path
        while position is not None:
            if position in self._nulled:
                return
            position = position.prev
        if None not in self._nulled:
            self._nulled.add(path)
            self.errors.append(error)


def _awaiting(results: Any, pending: Sequence[Any]) -> Any:
    """Return an awaitable that awaits the results at some keys or indices, and replaces them by their values."""
    if all(results[key].__class__ is _Started for key in pending):
        return _Started(_await_in_order(results, pending))
    return _await_together(results, pending)


async def _await_in_order(results: Any, pending: Sequence[Any]) -> Any:
    awaited = 0
    try:
        for key in pending:
            awaited += 1
            results[key] = await results[key]
    finally:
        run_in_background([results[key] for key in pending[awaited:]])
    return results


async def _await_together(results: Any, pending: Sequence[Any]) -> Any:
    if len(pending) == 1:
        [key] = pending
        results[key] = await results[key]
    else:
        completed = await gather_with_cancel(*[results[key] for key in pending])
        for key, result in zip(pending, completed, strict=True):
            results[key] = result
    return results


def _complete_leaf(leaf: LeafCompletion, value: Any) -> Any:
    completed = leaf.type_.coerce_output_value(value)
    if completed is None or completed is Undefined:
        raise TypeError(
            f"Expected `{inspect(leaf.type_)}.coerce_output_value({inspect(value)})` to return non-nullable value, "
            f"returned: {inspect(completed)}"
        )
    return completed
