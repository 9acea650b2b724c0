"""What a request reads through: one view of each list's version, and loaders that batch by key."""

from loaders.heads import Heads
from loaders.heartbeat import Heartbeat
from loaders.pages import Page, Window
from loaders.request import Loaders
from loaders.view import View

__all__ = ["Heads", "Heartbeat", "Loaders", "Page", "View", "Window"]
