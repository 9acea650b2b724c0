"""Decorators that declare and check the scopes that a resolver requires, for the price list that it reads or changes.

Each decorator sets a `Requirement` on the function as the attribute `REQUIREMENT`. A test walks the schema and fails
for a resolver without one.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from operator import attrgetter
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from graph.identity.callers import WORKING, Caller
from graph.identity.scopes import Scope

REQUIREMENT = "__requirement__"

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

Arguments = Mapping[str, Any]
"""The keyword arguments of a resolver. Strawberry and `graph.execution` pass all arguments by keyword."""


class Requirement(NamedTuple):
    """Any of these scopes, for the list or the batch at `path`. No scopes if access to the parent is sufficient."""

    scopes: tuple[Scope, ...]
    path: str


READING = (Scope.PRICES_READ,)
WRITING = (Scope.BATCHES_WRITE,)
OPERATING = (Scope.SNAPSHOTS_OPERATE,)
INTERNALS = WORKING
"""For the internals of a list: its batches, events and pin."""
ADMINISTERING = (Scope.ADMIN,)


def requires(
    scopes: tuple[Scope, ...], price_list: str, version: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Require any of the scopes for the list whose name is at the path `price_list`.

    A path is a keyword argument of the resolver, or an attribute of one: `price_list`, `input.name`, `root.price_list`.
    With the keyword argument `version`, a preview token of that version will do as well.
    """
    get_name = _getter(price_list)

    keep_private = _privacy(scopes)

    def check(arguments: Arguments) -> None:
        name = get_name(arguments)
        number = arguments.get(version) if version else None
        if number is None or not _context(arguments).loaders.view.previews(name, number):
            _caller(arguments).require(scopes, name)
        keep_private(arguments)

    return _checking(check, Requirement(scopes, price_list))


def requires_anywhere(scopes: tuple[Scope, ...]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Require any of the scopes for at least one list. The resolver must limit its result to the caller's lists."""
    keep_private = _privacy(scopes)

    def check(arguments: Arguments) -> None:
        _caller(arguments).require_any_list(scopes)
        keep_private(arguments)

    return _checking(check, Requirement(scopes, "any"))


def requires_for_batch(
    scopes: tuple[Scope, ...], batch: str
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Require any of the scopes for the list of the batch whose id is at the path `batch`.

    Raises `BatchNotFound` for a batch that the caller has no access to, as for one that does not exist.
    """
    get_id, keep_private = _getter(batch), _privacy(scopes)

    def decorate(resolver: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        @functools.wraps(resolver)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            lists = _caller(kwargs).require_any_list(scopes)
            if not lists.everything:
                await _context(kwargs).batch_within(lists, get_id(kwargs))
            keep_private(kwargs)
            return await resolver(*args, **kwargs)

        return _declare(checked, Requirement(scopes, batch))

    return decorate


def requires_credentials(resolver: Callable[P, R]) -> Callable[P, R]:
    """Require valid credentials alone, whatever they grant: the resolver shows the caller. The request becomes private.

    Anonymous callers need none.
    """

    def check(arguments: Arguments) -> None:
        _caller(arguments).check_expiry()
        _context(arguments).loaders.view.is_private = True

    return _checking(check, Requirement((), "caller"))(resolver)


def as_parent(resolver: F) -> F:
    """Require nothing beyond access to the parent object."""
    return _declare(resolver, Requirement((), "parent"))


def _checking(
    check: Callable[[Arguments], None], requirement: Requirement
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def decorate(resolver: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(resolver)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check(kwargs)
            return resolver(*args, **kwargs)

        @functools.wraps(resolver)
        async def checked_stream(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, None]:
            check(kwargs)
            async with aclosing(cast("AsyncGenerator[Any, None]", resolver(*args, **kwargs))) as values:
                async for value in values:
                    check(kwargs)  # the credentials may have expired since
                    yield value

        declared = checked_stream if inspect.isasyncgenfunction(resolver) else checked
        return _declare(cast("Callable[P, R]", declared), requirement)

    return decorate


def _privacy(scopes: tuple[Scope, ...]) -> Callable[[Arguments], None]:
    """Return a function that makes a request private if these scopes show the internals of a list."""

    def keep_private(arguments: Arguments) -> None:
        _context(arguments).loaders.view.is_private = True

    return (lambda _: None) if set(scopes).isdisjoint(INTERNALS) else keep_private


def _declare(function: F, requirement: Requirement) -> F:
    setattr(function, REQUIREMENT, requirement)
    return function


def _getter(path: str) -> Callable[[Arguments], str]:
    keyword, _, attribute = path.partition(".")
    if not attribute:
        return lambda arguments: cast("str", arguments[keyword])
    get = attrgetter(attribute)
    return lambda arguments: cast("str", get(arguments[keyword]))


def _context(arguments: Arguments) -> Any:
    return arguments["info"].context


def _caller(arguments: Arguments) -> Caller:
    caller: Caller = arguments["info"].context.caller
    return caller
