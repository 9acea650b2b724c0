"""Gates and retention are sentences: one for each gate that is set."""

from console.pages.price_list_settings import gate_sentences, retention_sentences

NO_GATES = {
    "maxShrinkPercent": None,
    "maxChangedPercent": None,
    "maxPriceChangePercent": None,
    "allowedCurrencies": None,
    "minSize": None,
}


def test_only_gates_that_are_set_have_a_sentence() -> None:
    assert gate_sentences(NO_GATES) == []
    assert gate_sentences(
        {**NO_GATES, "maxShrinkPercent": "20", "minSize": 0, "allowedCurrencies": ["EUR", "USD"]}
    ) == [
        "Holds a batch that removes more than 20 % of the prices.",
        "Rejects a batch that leaves fewer than 0 prices.",
        "Rejects a batch with other currencies than EUR, USD.",
    ]


def test_retention_that_thins_says_so() -> None:
    plain = retention_sentences({"versions": 2_000, "days": 30, "thin": False})
    assert plain[:2] == ["Keeps the newest 2,000 versions.", "Keeps a version for 30 days after it was last current."]
    assert "last of each hour" in retention_sentences({"versions": 30, "days": 30, "thin": True})[1]
