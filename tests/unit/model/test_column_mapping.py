"""Declared renamings: what they do to records, and when columns are known to be the same."""

import pytest

from crossfade import columns
from crossfade.errors import DefinitionError
from crossfade.model.column_mapping import renamed_columns
from crossfade.model.mapping_identity import mapping_identity


def test_columns_renames_and_leaves_out_the_others() -> None:
    """Values are the same objects."""
    to_new = columns({"CustomerId": "id", "FullName": "name"})
    value = object()

    assert to_new({"CustomerId": 1, "FullName": value, "Fax": "2"}) == {"id": 1, "name": value}


def test_the_inverse_is_the_way_back() -> None:
    """There and back again is the same record."""
    to_new = columns({"CustomerId": "id"}, others=True)
    record = {"CustomerId": 1, "city": None}

    assert to_new(record) == {"id": 1, "city": None}
    assert to_new.inverse()(to_new(record)) == record
    assert to_new.inverse().inverse() == to_new


def test_names_alone_stay() -> None:
    """A list of names is a mapping of each to itself."""
    assert columns(["id", "name"])({"id": 1, "name": "a", "x": 2}) == {"id": 1, "name": "a"}


def test_a_missing_column_cannot_be_mapped() -> None:
    """It is no NULL."""
    with pytest.raises(KeyError):
        columns({"a": "b"})({"c": 1})


def test_mistakes_are_refused() -> None:
    """Two columns of one name, and a mapping of nothing."""
    with pytest.raises(DefinitionError, match='the name "x"'):
        columns({"a": "x", "b": "x"})
    with pytest.raises(DefinitionError, match="names no column"):
        columns({})


def test_what_is_known_of_a_mapping() -> None:
    """Declared ones and `dict` change no value; of a function nobody knows."""
    names = ("id", "city")

    assert renamed_columns(dict, names) == {"id": "id", "city": "city"}
    assert renamed_columns(columns({"id": "key"}), names) == {"id": "key"}
    assert renamed_columns(columns({"id": "key"}, others=True), names) == {
        "id": "key",
        "city": "city",
    }
    assert renamed_columns(columns({"id": "city"}, others=True), names) is None
    assert renamed_columns(columns({"absent": "key"}), names) is None
    assert renamed_columns(lambda record: record, names) is None


def test_the_identity_of_a_mapping_is_its_code() -> None:
    """Equal code is one mapping wherever it is defined anew; another constant is another one."""

    def made(source: str) -> str:
        names: dict[str, object] = {"__name__": "definition"}
        exec(source, names)  # noqa: S102 - as a definition is loaded
        mapping = names["to_new"]
        assert callable(mapping)
        return mapping_identity(mapping)

    text = "def to_new(row):\n    return {'a': row['b'] in {'x', 'y', 'z'}}"

    assert made(text) == made(f"\n\n{text}")
    assert made(text) != made(text.replace("'z'", "'w'"))
    assert made(text) != made(text.replace("row['b']", "row['c']"))
