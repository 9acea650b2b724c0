"""The description of the reasons that mutations need."""

from storage import MAX_REASON_LENGTH

REASON = f"The reason, recorded in the audit log: 1 to {MAX_REASON_LENGTH} characters."
