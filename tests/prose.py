"""The prose of the project, and how often it uses phrases to avoid.

The prose of the code is its docstrings, comments and descriptions; that of the pages is Markdown and the comments of
Helm values. `python -m tests.prose [FOLDER]` prints every finding and the count of each phrase per 1,000 words.
Questions may begin with "What" or "Who"; code in backticks or fences is not prose.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "console", "graph", "loaders", "storage", "tests", "bench", "helm")

PHRASES = {
    "so many, so long, so often": r"\b[Ss]o (?:many|long|often)\b",
    "tells, told, says, said": r"\b(?:[Tt]ells|[Tt]old|[Ss]ays|[Ss]aid)\b",
    "sentences that begin with What, Who, Whoever": r"(?:^|(?<=[.!?:;] ))(?:What|Who|Whoever)\b(?![^.!]*\?)",
    "anew, upon, whoever, beside, nobody, somebody": (
        r"\b(?:[Aa]new|[Uu]pon|[Ww]hoever|[Bb]eside|[Nn]obody|[Ss]omebody)\b"
    ),
}
"""What to avoid, and the pattern that finds it."""

_DESCRIBING = ("description", "help", "short_help", "deprecation_reason")
"""Keyword arguments whose value is read by people: descriptions of the schema and help of commands."""


Text = tuple[Path, int, str]
"""A file, a line and the text that begins there."""


def code(root: Path = ROOT) -> Iterator[Text]:
    """Return every docstring, comment and description of the Python code."""
    for package in PACKAGES:
        for module in sorted((root / package).rglob("*.py")):
            source = module.read_text(encoding="utf-8")
            for line, text in (*_docstrings_and_descriptions(source), *_comments(source)):
                yield module.relative_to(root), line, text


def pages(root: Path = ROOT) -> Iterator[Text]:
    """Return the lines of all pages outside code fences, and the comments of all Helm values."""
    for page in (*root.glob("*.md"), *sorted((root / "docs").glob("*.md")), *sorted((root / "helm").glob("*.md"))):
        fenced = False
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced:
                yield page.relative_to(root), number, line.lstrip("#-*|> ")
    for values in sorted((root / "helm" / "pricebook").glob("values*.yaml")):
        for number, line in enumerate(values.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith("#"):
                yield values.relative_to(root), number, line.lstrip("# ")


def _docstrings_and_descriptions(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.keyword) and node.arg in _DESCRIBING:
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Return the comments; consecutive lines are one."""
    block: list[str] = []
    begin = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("#! ")
        if block and line == last + 1:
            block.append(text)
        else:
            if block:
                yield begin, " ".join(block)
            begin, block = line, [text]
        last = line
    if block:
        yield begin, " ".join(block)


def prose(text: str) -> str:
    """Return a text without code, its lines and spaces folded."""
    return " ".join(re.sub(r"``?[^`]*``?", "CODE", text).split())


def findings(texts: Iterable[Text]) -> Iterator[tuple[str, Path, int, str]]:
    """Return each use of a phrase to avoid, with its file, line and surroundings."""
    for file, line, text in texts:
        folded = prose(text)
        for phrase, pattern in PHRASES.items():
            for found in re.finditer(pattern, folded):
                yield phrase, file, line, folded[max(found.start() - 40, 0) : found.end() + 40]


def count_words(texts: Iterable[Text]) -> int:
    """Return the number of words."""
    return sum(len(prose(text).split()) for _, _, text in texts)


def main(root: Path) -> None:
    """Print every finding, and the count of each phrase per 1,000 words."""
    for name, texts in (("code", list(code(root))), ("pages", list(pages(root)))):
        found = list(findings(texts))
        for phrase, file, line, text in found:
            sys.stdout.write(f"{file}:{line}: [{phrase}] {text}\n")
        total = count_words(texts)
        sys.stdout.write(f"== {name}: {total} words\n")
        for phrase in PHRASES:
            count = sum(each[0] == phrase for each in found)
            sys.stdout.write(f"{count / total * 1000:.2f} per 1,000 words ({count}): {phrase}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
