"""Mappings are tried on records: what raises, changes, loses or invents something is told."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from crossfade.control.doctor.findings import Verdict
from crossfade.control.doctor.mapping_checks import check_mapping
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import ColumnShape, TableShape
from tests.builders import make_entity

Record = dict[str, Any]
Mapping = Callable[[Record], Record]
RECORDS: list[tuple[Key, Record]] = [((n,), {"id": n, "name": f"hidden {n}"}) for n in (1, 2, 3)]


class Holder:
    """A table with `id` and one text column; refuses longer texts than ten characters."""

    def __init__(self, column: str, *more: ColumnShape) -> None:
        columns = (shape("id"), shape(column), *more)
        self.shape = TableShape("customers", columns, ("id",), ordered=True)

    def as_read(self, key: Key, record: Record) -> Record:
        """As it came, unless a text is too long."""
        if any(isinstance(value, str) and len(value) > 10 for value in record.values()):
            raise CannotHoldError("a column holds ten characters")
        return {"id": key[0], **record}


def shape(name: str, *, nullable: bool = False) -> ColumnShape:
    """A column."""
    return ColumnShape(name, "TEXT", nullable=nullable, has_default=False, generated=False)


def findings(
    to_new: Mapping,
    *new_columns: ColumnShape,
    to_legacy: Mapping | None = None,
    lossy: tuple[str, ...] = (),
) -> list[str]:
    """What is wrong with mapping legacy's records, in one line each."""
    back = to_legacy or (lambda row: {"id": row["id"], "name": row["title"]})
    made = make_entity(to_new=to_new, to_legacy=back, lossy=lossy)
    holders = {Side.LEGACY: Holder("name"), Side.NEW: Holder("title", *new_columns)}
    found = check_mapping(made, holders, Side.LEGACY, RECORDS)
    assert not any("hidden" in one.message for one in found)
    return [one.message for one in found if one.verdict is Verdict.PROBLEM]


def renamed(row: Record) -> Record:
    """The mapping as it should be."""
    return {"id": row["id"], "title": row["name"]}


def test_a_mapping_that_holds_is_fine() -> None:
    """There and back, nothing is lost."""
    assert findings(renamed) == []


def test_without_a_record_nothing_is_proved() -> None:
    """A mapping that was never tried is a warning."""
    holders = {Side.LEGACY: Holder("name"), Side.NEW: Holder("title")}

    found = check_mapping(make_entity(), holders, Side.LEGACY, [])

    assert [one.verdict for one in found] == [Verdict.WARNING]


def test_a_mapping_that_raises_is_told_with_its_keys() -> None:
    """How many records, and which, but no value."""
    (message,) = findings(lambda row: {"id": row["id"], "title": row["nam"]})

    assert "raised KeyError" in message
    assert "3 of 3 records, such as key [1], [2], [3]" in message


def test_a_mapping_must_give_the_same_again() -> None:
    """A clock or a counter in a mapping is found by trying twice."""
    numbers = count()

    (message,) = findings(lambda row: {"id": row["id"], "title": str(next(numbers))})

    assert "another result the second time" in message


def test_a_mapping_must_not_change_its_input() -> None:
    """The record belongs to the caller."""

    def changing(row: Record) -> Record:
        row["title"] = row.pop("name", "")
        return row

    assert findings(changing)


def test_a_column_that_does_not_exist_is_told() -> None:
    """And one that is needed and not mapped."""
    assert "no column titel" in findings(lambda row: {**renamed(row), "titel": 1})[0]
    assert "needs the column email" in findings(renamed, shape("email"))[0]
    assert findings(renamed, shape("email", nullable=True)) == []


def test_the_key_stays() -> None:
    """Both sides know a thing by the same key."""
    assert "changes the key" in findings(lambda row: {**renamed(row), "id": row["id"] + 1})[0]


def test_a_field_that_is_lost_is_told_unless_it_is_meant() -> None:
    """`lossy` names what may be dropped."""

    def shortened(row: Record) -> Record:
        return {"id": row["id"], "title": row["name"][:3]}

    (message,) = findings(shortened)
    assert "legacy.name does not survive" in message
    assert findings(shortened, lossy=("legacy.name",)) == []


def test_a_field_that_is_not_mapped_back_is_lost_too() -> None:
    """A record that is made on new would lack it on legacy."""
    (message,) = findings(renamed, to_legacy=lambda row: {"id": row["id"]})

    assert "legacy.name does not survive" in message


def test_what_the_other_side_cannot_hold_is_told() -> None:
    """Before it lands in quarantine."""
    (message,) = findings(lambda row: {"id": row["id"], "title": row["name"] * 3})

    assert "new would refuse the record: a column holds ten characters" in message


@pytest.mark.parametrize("lost", ["lines", "lines.sku"])
def test_children_are_looked_into(lost: str) -> None:
    """A line or a field of a line that is lost is named by its path."""
    record = {"id": 1, "lines": [{"n": 1, "sku": "A"}, {"n": 2, "sku": "B"}]}

    def back(row: Record) -> Record:
        lines = row["title"]
        kept = lines[:1] if lost == "lines" else [{"n": line["n"], "sku": "?"} for line in lines]
        return {"id": row["id"], "lines": kept}

    entity = make_entity(
        to_new=lambda row: {"id": row["id"], "title": [dict(line) for line in row["lines"]]},
        to_legacy=back,
    )
    holders = {Side.LEGACY: Holder("lines"), Side.NEW: Holder("title")}

    (found,) = check_mapping(entity, holders, Side.LEGACY, [((1,), record)])

    assert f"legacy.{lost} does not survive" in found.message
