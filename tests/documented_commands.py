"""The commands that the pages show: each line of a shell block, and each command in a sentence or a table."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "helm/README.md",
    *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")),
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_ASSIGNMENT = re.compile(r"\w+=.*")
_SHELLS = {"sh", "bash", "shell", "console"}
_COMMAND_TABLE = "| to | commands |"
"""The heading of the table whose commands have no `pricebook` in front."""


class Documented(NamedTuple):
    """A command as a page shows it: its program and arguments, without assignments, pipes and redirections.

    `in_block` is false in a sentence or a table, which may leave out required options, and has optional parts in
    brackets.
    """

    page: str
    line: int
    arguments: tuple[str, ...]
    piped_to: tuple[str, ...]
    in_block: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.arguments)}"


def commands_of(page: str, text: str) -> Iterator[Documented]:
    """Yield the commands of a page, from top to bottom."""
    for line, code, in_block in _pieces(text):
        yield from _commands(page, line, code, in_block=in_block)


def _pieces(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the lines of shell blocks, continued lines as one, and the code in sentences, with their numbers."""
    end = 0
    for block in _BLOCK.finditer(text):
        yield from _spans(text, end, block.start())
        end = block.end()
        if block[1] in _SHELLS:
            line = text.count("\n", 0, block.start(2)) + 1
            for code in re.split(r"(?<!\\)\n", block[2]):
                yield line, code.replace("\\\n", " "), True
                line += code.count("\n") + 1
    yield from _spans(text, end, len(text))


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, str, bool]]:
    table = text.find(_COMMAND_TABLE, start, end)
    table_end = text.find("\n\n", table, end) if table >= 0 else -1
    for span in _SPAN.finditer(text, start, end):
        prefix = "pricebook " if table < span.start() < table_end else ""
        yield text.count("\n", 0, span.start()) + 1, prefix + re.sub(r"[\[\]\s]+", " ", span[1]), False


def _commands(page: str, line: int, code: str, *, in_block: bool) -> Iterator[Documented]:
    lexer = shlex.shlex(code, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # code in another language, with a quote that is not closed
        return
    simple: list[tuple[str, list[str]]] = [("", [])]
    """Each simple command, with the operator in front of it."""
    for word in words:
        if set(word) <= set("|&;"):
            simple.append((word, []))
        else:
            simple[-1][1].append(word)
    for (_, each), (operator, following) in zip(simple, [*simple[1:], ("", [])], strict=True):
        arguments = _without_environment(each)
        if arguments:
            yield Documented(page, line, tuple(arguments), tuple(following) if operator == "|" else (), in_block)


def _without_environment(words: list[str]) -> list[str]:
    """Return the words of a simple command up to a redirection, without `export` and assignments."""
    end = next((index for index, word in enumerate(words) if word and set(word) <= set("<>")), len(words))
    start = next((index for index, word in enumerate(words[:end]) if not _ASSIGNMENT.fullmatch(word)), end)
    return words[start:end]
