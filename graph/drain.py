"""Draining: a process that stops first becomes unready, then ends its subscriptions."""

import asyncio


class Drain:
    """The progress of a process towards its end."""

    def __init__(self) -> None:
        self.is_draining = False
        self.subscriptions_ended = asyncio.Event()
        """Set when subscriptions end. Transports close them without `complete`, and clients subscribe again."""

    def begin(self) -> None:
        """Make `/readyz` respond 503, so that load balancers use other processes. Requests are still served."""
        self.is_draining = True

    def end_subscriptions(self) -> None:
        """End all subscriptions without completing them: a client takes a completed one for finished."""
        self.subscriptions_ended.set()
