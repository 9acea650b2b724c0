"""Requests whose responses caches may keep: their ETags and cache headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import Undefined, value_from_ast_untyped

from graph.asgi.headers import Headers
from graph.cache.cache_control import CacheControl
from graph.cache.etags import ETags, matches, matches_any
from graph.context import Context
from graph.documents.cacheability import Cacheability
from graph.http.response import NO_STORE, PRIVATE_NO_STORE, HTTPResponse, not_modified
from graph.identity.requires import READING
from loaders import View

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
        pointers = [context.pointers.known(name) for name in lists.current]
        versions = {
            pointer.name: pointer.current_version for pointer in pointers if pointer and pointer.current_version
        }
        if len(versions) < len(pointers):
            return None
        cache_headers = self._headers(versions)
        return not_modified(cache_headers) if self.is_satisfied_by(cache_headers) else None

    def cache_headers(self, view: View) -> Headers | None:
        """Return the ETag and Cache-Control headers of a response without errors.

        None if the response is private, or depends on a list that has no version yet, or on an instant that is not
        settled.
        """
        if view.is_private or not view.instants.are_settled:
            return None
        pointers = view.followed()
        versions = {
            name: pointer.current_version
            for name, pointer in pointers.items()
            if pointer and pointer.current_version is not None
        }
        return self._headers(versions, view.instants.versions) if len(versions) == len(pointers) else None

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

    def is_satisfied_by(self, cache_headers: Headers) -> bool:
        """Whether the client has the response with these headers already."""
        return bool(self.if_none_match) and matches(self.if_none_match, dict(cache_headers)[b"etag"])

    def _headers(self, versions: Mapping[str, int], as_of: Mapping[str, int] = _NONE) -> Headers:
        etag = self.etags.etag(
            self.scope, self.media_type, self.document, self.operation_name, self.variables, {**versions, **as_of}
        )
        return self.cache_control.headers(self.scope, etag, immutable=not versions)


def uncacheable_headers(view: View) -> Headers:
    """Return the cache headers of a response that no cache may keep. A private one is marked as such as well."""
    return [PRIVATE_NO_STORE if view.is_private else NO_STORE]
