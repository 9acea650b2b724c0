"""One answer and who may keep it: its ETag before and after it is there, and what it depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph.asgi.request_ids import Headers
from graph.cache.cache_control import CacheControl
from graph.cache.etags import ETags, matches, matches_any
from graph.context import Context
from graph.documents.cacheability import Cacheability
from graph.http.response import Answer, not_modified
from loaders import View


@dataclass(slots=True)
class CacheableRequest:
    """A request whose answer is a pure function of versions, and of all that stands here."""

    etags: ETags
    cache_control: CacheControl
    scope: str
    media_type: str
    document: str
    operation: Cacheability
    operation_name: str | None
    variables: Mapping[str, Any]
    if_none_match: bytes

    def unexecuted(self, context: Context) -> Answer | None:
        """Return that the client has the answer, where the pointers in memory tell so; None where they do not."""
        if not self.if_none_match or matches_any(self.if_none_match):
            return None
        names = self.operation.current_lists(self.variables)
        known = [context.pointers.known(name) for name in names] if names is not None else [None]
        versions = {head.name: head.current_version for head in known if head and head.current_version}
        if len(versions) < len(known):
            return None
        kept = self._kept(versions)
        return not_modified(kept) if self.has(kept) else None

    def kept(self, view: View) -> Headers | None:
        """Return the headers that say how an answer without errors may be kept.

        None where a list of which it tells has no version yet.
        """
        followed = view.followed()
        versions = {
            name: head.current_version for name, head in followed.items() if head and head.current_version is not None
        }
        return self._kept(versions) if len(versions) == len(followed) else None

    def has(self, kept: Headers) -> bool:
        """Whether the client has the answer that these are the headers of."""
        return bool(self.if_none_match) and matches(self.if_none_match, dict(kept)[b"etag"])

    def _kept(self, versions: Mapping[str, int]) -> Headers:
        etag = self.etags.etag(
            self.scope, self.media_type, self.document, self.operation_name, self.variables, versions
        )
        return self.cache_control.headers(self.scope, etag, immutable=not versions)
