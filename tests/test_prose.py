"""The code and the pages are written in plain English: no relapse into the phrases that `tests.prose` lists."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.prose import PHRASES, Text, code, count_words, findings, pages

MAX_PER_1000_WORDS = dict(zip(PHRASES, (0.0, 0.3, 0.3, 0.3), strict=True))


@pytest.mark.parametrize("read", [code, pages])
def test_phrases_to_avoid_are_rare(read: Callable[[], Iterator[Text]]) -> None:
    texts = list(read())
    found = list(findings(texts))
    rates = {phrase: count / count_words(texts) * 1000 for phrase, count in Counter(each[0] for each in found).items()}
    over = {phrase for phrase, rate in rates.items() if rate > MAX_PER_1000_WORDS[phrase]}
    assert not over, "\n".join(f"{file}:{line}: {text}" for phrase, file, line, text in found if phrase in over)
