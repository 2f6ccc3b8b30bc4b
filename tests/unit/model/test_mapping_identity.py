"""A mapping that was changed is another one, even where nobody raised its version."""

from typing import Any

from crossfade.model.mapping_identity import mapping_identity

Record = dict[str, Any]


def _one(record: Record) -> Record:
    return {"id": record["Id"] if record["Id"] in {1, 2} else ("a", None)}


def _other(record: Record) -> Record:
    return {"id": record["Id"] if record["Id"] in {1, 3} else ("a", None)}


def test_other_code_is_another_mapping() -> None:
    """Sets, tuples and inner functions among its constants included."""
    assert mapping_identity(_one) == mapping_identity(_one)
    assert mapping_identity(_one).rpartition(":")[2] != mapping_identity(_other).rpartition(":")[2]


def test_what_has_no_code_goes_by_its_name() -> None:
    """`dict`, for a mapping that changes nothing."""
    assert mapping_identity(dict) == "builtins.dict"
