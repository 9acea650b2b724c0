"""The cache of documents, and what invalid documents leave behind."""

import gc
import weakref

import pytest

from graph.documents import document
from graph.documents.document import Document, Documents
from graph.documents.errors import RequestErrors
from graph.limits.limits import MAX_ERRORS, Limits, OverLimit
from graph.schema.build import build_schema

SCHEMA = build_schema()._schema

INVALID = ["{", "{ nope }", "{ a { b { c } } }"]


def test_a_valid_document_is_parsed_once() -> None:
    documents = Documents(SCHEMA)
    assert documents.get("{ __typename }") is documents.get("{ __typename }")
    assert not documents.has("{ __typename }", None)
    documents.get("{ __typename }").operation(None)
    assert documents.has("{ __typename }", None)


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_document_is_not_kept_and_each_error_is_new(text: str) -> None:
    documents = Documents(SCHEMA, Limits(depth=2))
    errors = []
    for _ in range(2):
        with pytest.raises((RequestErrors, OverLimit)) as caught:
            documents.get(text)
        errors.append(caught.value)
    assert not documents._documents
    assert errors[0] is not errors[1]


@pytest.mark.parametrize("text", INVALID)
def test_a_refused_request_is_not_kept_by_its_error(text: str) -> None:
    class Request:
        pass

    documents = Documents(SCHEMA, Limits(depth=2))

    def serve() -> "weakref.ref[Request]":
        request = Request()
        with pytest.raises((RequestErrors, OverLimit)):
            documents.get(text)
        return weakref.ref(request)

    served = [serve() for _ in range(3)]
    gc.collect()
    assert [request() for request in served] == [None] * 3


def test_documents_are_cached_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_CACHED_BYTES", 1_000_000)
    documents = Documents(SCHEMA)
    large = "{ " + " ".join(f"a{number}: priceLists {{ totalCount }}" for number in range(90)) + " }"
    for number in range(20):
        documents.get(large.replace("a0:", f"b{number}:"))
    assert 0 < len(documents._documents) < 3
    for number in range(20):
        documents.get(f"{{ c{number}: __typename }}")
    assert len(documents._documents) > 10


@pytest.mark.parametrize("text", ["{ __typename }", "query ($c: Boolean!) { __typename @include(if: $c) }"])
def test_a_document_weighs_more_the_more_plans_it_may_have(text: str) -> None:
    def weight(text: str) -> int:
        node = Documents(SCHEMA).get(text)
        assert isinstance(node, Document)
        return document._weight(text, node)

    assert weight(text + " #" + "x" * 1000) > weight(text) + 1000
    assert weight(text + " #@") > weight(text)


def test_only_the_first_errors_of_a_document_are_reported() -> None:
    with pytest.raises(RequestErrors) as caught:
        Documents(SCHEMA).get("{ " + " ".join(f"f{number}" for number in range(100)) + " }")
    assert len(caught.value.errors) == MAX_ERRORS


def test_the_fields_of_all_operations_count_together() -> None:
    fragments = "fragment A on Query { ...B ...B } fragment B on Query { a: __typename b: __typename c: __typename }"
    operations = " ".join(f"query q{number} {{ ...A }}" for number in range(30))
    assert Documents(SCHEMA, Limits(tokens=300)).get(f"{operations} {fragments}").size > 200
    with pytest.raises(OverLimit) as caught:
        Documents(SCHEMA, Limits(tokens=240)).get(f"{operations} {fragments}")
    assert caught.value.code == "QUERY_TOO_LARGE"
