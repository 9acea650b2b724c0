"""The limit of open files, by which the system bounds connections as well."""

import logging
import sys

if sys.platform != "win32":
    import resource

OTHER_DESCRIPTORS = 512
"""Descriptors that are left for the database, files and refused connections."""

log = logging.getLogger("pricebook.cli")


def allow_connections(wanted: int) -> int:
    """Raise the limit of open files as far as needed. Return the number of connections, of those, that it allows."""
    if sys.platform == "win32":
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == needed:
        return wanted
    allowed = max(1, soft - OTHER_DESCRIPTORS)
    log.warning(
        "The limit of open files is %d, which allows %d connections instead of the %d of PRICEBOOK_MAX_CONNECTIONS. "
        "Raise the limit (ulimit -Hn), or lower the setting.",
        soft,
        allowed,
        wanted,
    )
    return allowed
