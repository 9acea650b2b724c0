"""How the values of settings are read. Each reader refuses a text by a `ValueError` that says what is allowed."""

import re
from collections.abc import Callable, Collection
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from graph.identity.scopes import Grants

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}

_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number in a range."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(text)

    return read


def matching(pattern: str, allowed: str) -> Callable[[str], str]:
    """A text of a pattern; `allowed` says in words which those are."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(allowed)
        return text

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """One of some words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text.lower()

    return read


def size(text: str) -> int:
    """A number of bytes, with or without a unit."""
    found = re.fullmatch(r"(\d{1,15}) ?([kmg]?i?b?)", text.lower(), re.ASCII)
    if found is None or found[2] not in _UNITS or int(found[1]) == 0:
        raise ValueError("a number of bytes, as 67108864, 65536KiB, 64MiB or 1GiB")
    return int(found[1]) * _UNITS[found[2]]


def size_or_none(text: str) -> int:
    """A number of bytes, or 0."""
    try:
        return 0 if text == "0" else size(text)
    except ValueError as error:
        raise ValueError(f"{error}, or 0") from error


def yes_no(text: str) -> bool:
    """Yes or no."""
    if text.lower() not in _YES_NO:
        raise ValueError("true or false")
    return _YES_NO[text.lower()]


def path(text: str) -> Path:
    """A path, from the root."""
    return Path(text).expanduser().absolute()


def words(choices: Collection[str]) -> Callable[[str], str]:
    """Some words of a list, with spaces between."""

    def read(text: str) -> str:
        if not set(text.split()) <= set(choices):
            raise ValueError(f"some of {' '.join(choices)}, with spaces between")
        return text

    return read


def grants(text: str) -> str:
    """Scopes, as `graph.identity.scopes` has them."""
    Grants.of(text.split())
    return text


def key_set(text: str) -> str:
    """A URL that nobody on the way can answer in the place of, or a file that is there."""
    parts = urlsplit(text)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return text
    if parts.scheme == "http" or not path(text).is_file():
        raise ValueError("a URL with https, or a file that can be read")
    return str(path(text))


def origins(text: str) -> str:
    """Origins of web pages, as browsers send them."""
    for origin in text.split():
        if not re.fullmatch(r"https?://[^/?#@\s]+", origin):
            raise ValueError("origins as https://shop.example, with spaces between")
    return text


def networks(text: str) -> str:
    """Addresses, or networks, of IP."""
    try:
        for network in text.split():
            ip_network(network)
    except ValueError as error:
        raise ValueError("addresses or networks as 10.0.0.0/8, with spaces between") from error
    return text


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host in _LOOPBACK
