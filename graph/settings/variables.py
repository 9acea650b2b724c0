"""Environment variables of settings: names, descriptions in the manual, and the detection of unknown ones."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass
from typing import Any

PREFIX = "PRICEBOOK_"
"""The prefix of all variables."""

_CLIENT_VARIABLES = ("PRICEBOOK_ENDPOINT", "PRICEBOOK_TOKEN")
"""Variables of client commands. Servers ignore them, as all variables that start with PRICEBOOK_TEST_."""


class SettingsError(ValueError):
    """Some variables are invalid. The message has a line for each, with its name, value and valid values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting in the manual: variable, default and meaning."""

    name: str
    default: str
    meaning: str


def masked(uri: str) -> str:
    """Mask the secrets in a connection string."""
    uri = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", uri)
    return re.sub(r"(?i)([?&][^=&]*(?:password|properties)=)[^&]*", r"\1***", uri)


def metadata(read: Callable[[str], object], meaning: str, shown: str | None = None) -> dict[str, object]:
    """Return the metadata of a field: the parser of its variable, its meaning, and how its default is shown.

    For invalid text `read` raises a `ValueError` that describes a valid value.
    """
    return {"read": read, "meaning": meaning, "shown": shown}


def variable_name(field_name: str) -> str:
    """Return the name of the variable of a setting."""
    return PREFIX + field_name.upper()


def unknown_variables(environ: Mapping[str, str], variables: Iterable[Variable]) -> list[str]:
    """Return a line for each unknown `PRICEBOOK_` variable, with the most similar known one."""
    known = [variable.name for variable in variables]
    suffixes = [name.removeprefix(PREFIX) for name in known]
    problems = []
    for name in sorted(environ.keys() - {*known, *_CLIENT_VARIABLES}):
        if not name.startswith(PREFIX) or name.startswith("PRICEBOOK_TEST_"):
            continue
        similar = difflib.get_close_matches(name.removeprefix(PREFIX), suffixes, n=1)
        advice = f"Did you mean {PREFIX}{similar[0]}?" if similar else f"The settings are {', '.join(known)}."
        problems.append(f'{name} (set to "{masked(environ[name])}") is not a setting. {advice}')
    return problems


def describe(setting: Field[Any]) -> Variable:
    """Return a setting as the manual describes it."""
    shown = setting.metadata["shown"]
    default = str(setting.default) if shown is None else shown
    return Variable(variable_name(setting.name), default, setting.metadata["meaning"])
