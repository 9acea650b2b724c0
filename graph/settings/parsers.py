"""Parsers of the values of settings. For invalid text each raises a `ValueError` that describes a valid value."""

import re
from collections.abc import Callable, Collection
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from graph.identity.scopes import Grants

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}

_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a parser for a whole number in a range."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(text)

    return read


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """Return a parser for text that matches a pattern. `allowed` describes such text."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(allowed)
        return text

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser for one of several words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text.lower()

    return read


def size(text: str) -> int:
    """Parse a number of bytes, with or without a unit."""
    found = re.fullmatch(r"(\d{1,15}) ?([kmg]?i?b?)", text.lower(), re.ASCII)
    if found is None or found[2] not in _UNITS or int(found[1]) == 0:
        raise ValueError("a number of bytes, such as 67108864, 65536KiB, 64MiB or 1GiB")
    return int(found[1]) * _UNITS[found[2]]


def size_or_zero(text: str) -> int:
    """Parse a number of bytes, or 0."""
    try:
        return 0 if text == "0" else size(text)
    except ValueError as error:
        raise ValueError(f"{error}, or 0") from error


def yes_no(text: str) -> bool:
    """Parse a boolean."""
    if text.lower() not in _YES_NO:
        raise ValueError("true or false")
    return _YES_NO[text.lower()]


def path(text: str) -> Path:
    """Parse a path and make it absolute."""
    return Path(text).expanduser().absolute()


def words(choices: Collection[str]) -> Callable[[str], str]:
    """Return a parser for words of a list, separated by spaces."""

    def read(text: str) -> str:
        if not set(text.split()) <= set(choices):
            raise ValueError(f"one or more of {' '.join(choices)}, separated by spaces")
        return text

    return read


def grants(text: str) -> str:
    """Parse grants (see `graph.identity.scopes`)."""
    Grants.parse(text.split())
    return text


def key_set(text: str) -> str:
    """Parse an HTTPS URL or the path of an existing file. HTTP is allowed on loopback, where it cannot be spoofed."""
    parts = urlsplit(text)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return text
    if parts.scheme == "http" or not path(text).is_file():
        raise ValueError("an https URL, or the path of a file")
    return str(path(text))


def origins(text: str) -> str:
    """Parse origins of web pages, as in the `Origin` header."""
    for origin in text.split():
        if not re.fullmatch(r"https?://[^/?#@\s]+", origin):
            raise ValueError("origins such as https://shop.example, separated by spaces")
    return text


def networks(text: str) -> str:
    """Parse IP addresses or networks."""
    try:
        for network in text.split():
            ip_network(network)
    except ValueError as error:
        raise ValueError("addresses or networks such as 10.1.2.0/24, separated by spaces") from error
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address."""
    return host in _LOOPBACK
