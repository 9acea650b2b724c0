"""The exit codes of all commands. The help of a command lists them."""

SUCCESS = 0
FAILURE = 1
"""Refused, not found, declined, or no response; standard error gives the reason, with an error code if it has one."""
USAGE_ERROR = 2
"""The command line or a setting is invalid; nothing was attempted."""
HELD = 3
"""A batch is held."""
INTERRUPTED = 130

_MEANINGS = {
    SUCCESS: "success",
    FAILURE: "refused, not found, or no response; standard error gives the reason",
    USAGE_ERROR: "the command line or a setting is invalid; nothing was attempted",
    INTERRUPTED: "interrupted",
}


def epilog(meanings: dict[int, str] | None = None) -> str:
    """Return the section on exit codes for a command's help; `meanings` are specific to the command."""
    lines = [f"  {code:3}  {meaning}" for code, meaning in sorted({**_MEANINGS, **(meanings or {})}.items())]
    return "\n".join(["\b", "Exit codes:", *lines])
