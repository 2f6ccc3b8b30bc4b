"""Documents keep what they are given exactly; keys sort as bytes as they do in Python."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import StoreError
from crossfade.model.store_documents import Items, RedisDocuments
from crossfade.store.document_form import DocumentForm, encoded, parsed
from crossfade.store.ordered_text import AFTER, key_of_bytes, ordered_bytes
from crossfade.store.sql_dialect import CannotHoldError

KEYS = st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1), st.text())
WHAT = {
    "decimal": Decimal,
    "bytes": bytes,
    "at": datetime,
    "day": date,
    "hour": time,
    "name": UUID,
    "lines.price": Decimal,
    "prices": Decimal,
}


def _form(**more: Any) -> DocumentForm:  # noqa: ANN401 - whatever documents have
    values = {"types": WHAT, "items": {"lines": Items("article")}, **more}
    return DocumentForm(RedisDocuments("redis://h", "c:{id}", **values))


@given(KEYS, KEYS)
def test_bytes_of_keys_sort_as_the_keys(one: Any, other: Any) -> None:  # noqa: ANN401 - keys
    """Part by part; and nothing sorts between a key's bytes and what is behind it."""
    first, second = ordered_bytes(one), ordered_bytes(other)

    assert (first < second) == (one < other)
    assert (first + AFTER < second) == (one < other)
    assert key_of_bytes(first + b"anything", (str, int, str)) == one


@pytest.mark.parametrize(
    "record",
    [
        {"decimal": Decimal("0.1000000000000000000000000000000000001")},
        {"decimal": Decimal("1E+500")},
        {"bytes": bytes(range(256))},
        {"at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)},
        {"day": date(2026, 2, 28), "hour": time(23, 59, 59, 1)},
        {"name": UUID(int=5)},
        {"nested": {"deep": [1, 2.5, None, True, "text", {"x": []}]}},
        {"prices": [Decimal("1.10"), Decimal(2)]},
        {"lines": [{"article": "a", "price": Decimal("1.10")}]},
        {"number": 0.1, "whole": 2**63 - 1, "small": 5e-324, "minus": -0.0},
    ],
)
def test_a_record_is_read_as_it_was_put(record: dict[str, Any]) -> None:
    """Types and values, nested ones too."""
    found = _form().as_read((1,), record)

    assert found == {"id": 1, **record}
    assert repr(found) == repr({"id": 1, **record})


@pytest.mark.parametrize(
    "record",
    [
        {"other": Decimal("1.1")},
        {"other": b"x"},
        {"decimal": "1.1"},
        {"decimal": Decimal("NaN")},
        {"decimal": Decimal("1E+5000")},
        {"decimal": True},
        {"at": date(2026, 1, 1)},
        {"other": {1: "a"}},
        {"other": {"\ud800": 1}},
        {"other": {"a", "b"}},
        {"other": [[float("inf")]]},
        {"lines": [{"article": "a"}, {"article": "a"}]},
    ],
)
def test_what_a_document_would_change_is_refused(record: dict[str, Any]) -> None:
    """With a reason; a nested value is no exception."""
    with pytest.raises(CannotHoldError):
        _form().bound((1,), record)


def test_nesting_has_an_end() -> None:
    """A record may not be as deep as it likes."""
    deep: Any = 1
    for _ in range(100):
        deep = [deep]

    with pytest.raises(CannotHoldError, match="deep"):
        _form().bound((1,), {"other": deep})


def test_numbers_that_no_float_holds_stay_exact() -> None:
    """Those of the service's own fields, which are written back as they were."""
    text = b'{"id":1,"pi":3.14159265358979323846,"big":123456789012345678901234567890,"a":1.50}'
    form = _form()
    document = parsed(text)

    merged = form.merged(document, form.bound((1,), {"note": "x"}))

    assert encoded(merged) == text[:-1] + b',"note":"x"}'
    record = form.record((1,), document)
    assert record["pi"] == Decimal("3.14159265358979323846")
    assert (record["big"], record["a"]) == (123456789012345678901234567890, 1.5)


@pytest.mark.parametrize(
    "document",
    [
        {"decimal": "x"},
        {"bytes": "?"},
        {"at": "yesterday"},
        {"at": 5},
        {"lines": "x"},
        {"lines": ["x"]},
    ],
)
def test_a_field_that_holds_something_else_is_an_error(document: dict[str, Any]) -> None:
    """Named, so that the description can be corrected."""
    with pytest.raises(StoreError, match="field"):
        _form().record((1,), document)


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"{"])
def test_what_is_no_object_is_no_document(data: bytes) -> None:
    """Whatever else is stored there."""
    with pytest.raises(StoreError, match="document is no JSON"):
        parsed(data)


def test_items_come_in_the_order_of_their_keys_whatever_they_are() -> None:
    """Numbers, then text; those without a key do not stop a read."""
    form = _form(items={"lines": Items(("kind", "no"))})
    items = [{"kind": "b", "no": 1}, {"kind": 2, "no": 1}, {"kind": None, "no": 9}]

    found = form.record((1,), {"lines": items})["lines"]

    assert [item["kind"] for item in found] == [2, "b", None]


def test_declared_fields_are_all_there_and_others_are_refused() -> None:
    """As the columns of a table."""
    form = _form(fields=("name",), items={"lines": Items("article", fields=("cents",))}, types={})

    found = form.record((1,), {"other": 1, "lines": [{"article": "a", "more": 1}]})

    assert found == {"id": 1, "name": None, "lines": [{"article": "a", "cents": None}]}
    with pytest.raises(CannotHoldError, match="no field 'other'"):
        form.bound((1,), {"other": 1})
    assert not form.shape("c").open
    assert [one.name for one in form.shape("c").columns] == ["id", "name"]
