"""Requests whose responses caches may keep: their ETags and cache headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import Undefined, value_from_ast_untyped

from graph.asgi.headers import Headers
from graph.cache.cache_control import CacheControl, CachePolicy
from graph.cache.etags import ETags, matches, matches_any
from graph.context import Context
from graph.documents.cacheability import Cacheability
from graph.http.response import NO_STORE, PRIVATE_NO_STORE, HTTPResponse, not_modified
from graph.identity.requires import READING
from loaders import View
from storage import PriceList

_NONE: Mapping[str, int] = {}


@dataclass(slots=True)
class CacheableRequest:
    """A request whose response is a pure function of these attributes and of the versions that it reads."""

    etags: ETags
    cache_control: CacheControl
    scope: str
    media_type: str
    document: str
    operation: Cacheability
    operation_name: str | None
    variables: Mapping[str, Any]
    if_none_match: bytes

    def not_modified_response(self, context: Context) -> HTTPResponse | None:
        """Return a 304 response without executing the operation.

        None unless the client has the response, by the pointers in memory, and may read all lists in it. Pointers do
        not show whether a version was ever current unless it is now, nor which one was current at an instant, so a
        request that names another one, by number, an instant or a cursor, is executed.
        """
        if not self.if_none_match or matches_any(self.if_none_match) or not self._names_only_current(context):
            return None
        lists = self.operation.lists(self.variables)
        readable = context.caller.lists(READING)
        if lists is None or not all(name in readable for name in lists.named):
            return None
        policy = self._policy([context.pointers.known(name) for name in lists.current], context)
        if policy is None or not self.is_satisfied_by(policy):
            return None
        freshness = policy.freshness()
        return not_modified(freshness.headers) if freshness.may_revalidate else None

    def policy(self, context: Context) -> CachePolicy | None:
        """Return what the ETag and Cache-Control headers of a response without errors depend on.

        None if the response is private, or depends on a list that has no version yet, or on an instant that is not
        settled.
        """
        view = context.loaders.view
        if view.is_private or not view.instants.are_settled:
            return None
        return self._policy([*view.followed().values()], context, view.instants.versions)

    def _names_only_current(self, context: Context) -> bool:
        """Whether all versions that the operation names are known to be current, by the pointers in memory."""
        variables = {**self.operation.defaults, **self.variables}
        if any(value_from_ast_untyped(cursor, variables) not in (None, Undefined) for cursor in self.operation.cursors):
            return False
        for field in self.operation.snapshots:
            if field.as_of and value_from_ast_untyped(field.as_of, variables) not in (None, Undefined):
                return False
            version = value_from_ast_untyped(field.version, variables) if field.version else None
            if version is None or version is Undefined:
                continue
            name = value_from_ast_untyped(field.price_list, variables)
            pointer = context.pointers.known(name) if isinstance(name, str) else None
            if pointer is None or pointer.current_version != version:
                return False
        return True

    def is_satisfied_by(self, policy: CachePolicy) -> bool:
        """Whether the client has the response with this ETag already."""
        return bool(self.if_none_match) and matches(self.if_none_match, policy.etag)

    def _policy(
        self, pointers: Sequence[PriceList | None], context: Context, as_of: Mapping[str, int] = _NONE
    ) -> CachePolicy | None:
        """Return the policy of a response that reads the current versions of some lists, as their pointers have them.

        `as_of` are the versions that it reads as of instants. None if one of the lists has no version yet.
        """
        known = [pointer for pointer in pointers if pointer]
        versions = {pointer.name: pointer.current_version for pointer in known if pointer.current_version}
        if len(versions) < len(pointers):
            return None
        etag = self.etags.etag(
            self.scope, self.media_type, self.document, self.operation_name, self.variables, {**versions, **as_of}
        )
        next_change_at = min((each.next_change_at for each in known if each.next_change_at), default=None)
        clock = context.pointers.clock
        return CachePolicy(self.cache_control, self.scope, etag, not versions, next_change_at, clock)


def uncacheable_headers(view: View) -> Headers:
    """Return the cache headers of a response that no cache may keep. A private one is marked as such as well."""
    return [PRIVATE_NO_STORE if view.is_private else NO_STORE]
