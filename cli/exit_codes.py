"""What commands exit with: one table for all of them. A command's help says what the codes mean there."""

DONE = 0
REFUSED = 1
"""Refused, not found, declined, or no answer; standard error says which, with a stable code where there is one."""
WRONG = 2
"""The command line or a setting is wrong: nothing was tried."""
HELD = 3
"""A batch waits for approval."""
INTERRUPTED = 130

_MEANINGS = {
    DONE: "done",
    REFUSED: "refused, not found, or no answer; standard error says which",
    WRONG: "the command line or a setting is wrong; nothing was tried",
    INTERRUPTED: "interrupted",
}


def manual(meanings: dict[int, str] | None = None) -> str:
    """Return the part of a command's help on its exit codes; `meanings` are those that are special to it."""
    lines = [f"  {code:3}  {meaning}" for code, meaning in sorted({**_MEANINGS, **(meanings or {})}.items())]
    return "\n".join(["\b", "Exit codes:", *lines])
