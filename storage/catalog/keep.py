"""Keep: the note in a manifest that a version is kept until an instant, whatever retention says."""

import datetime

import msgspec


class Keep(msgspec.Struct, frozen=True):
    """Until when a version is kept, by whom and why, and when that was decided."""

    until: datetime.datetime
    by: str
    reason: str
    at: datetime.datetime
