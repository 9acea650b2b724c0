"""One visit of a page: who looks at it, on which session."""

from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from console.client import Json
from console.client.client import ApiClient
from console.frame.viewer import Viewer
from console.sessions.caller import Caller, Scope
from console.sessions.sessions import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """The session, caller and viewer that a page is built from. A page lives as long as its tab shows it."""

    session: Session
    caller: Caller
    viewer: Viewer

    @property
    def api(self) -> ApiClient:
        """The client that acts in the name of the caller."""
        return self.session.client

    def may_operate(self, price_list: str) -> bool:
        """Whether to offer rollbacks, pins, reviews and schedules of a price list."""
        return self.caller.may(Scope.SNAPSHOTS_OPERATE, price_list)

    def works_on(self, price_list: str) -> bool:
        """Whether the caller sees pins, batches, events and what is unpublished of a price list."""
        return self.may_operate(price_list) or self.caller.may(Scope.BATCHES_WRITE, price_list)

    def works_anywhere(self) -> bool:
        """Whether the caller works on any price list, in the sense of `works_on`."""
        return any(self.caller.may_anywhere(scope) for scope in Scope)

    def follow(self, react: Callable[[Json | None], None]) -> None:
        """Call `react` in this page with each publication while the page is open; with None if some may be missed."""
        client = ui.context.client

        def follower(publication: Json | None) -> None:
            with client.content:
                react(publication)

        self.session.feed.follow(follower)
        client.on_delete(lambda: self.session.feed.unfollow(follower))
