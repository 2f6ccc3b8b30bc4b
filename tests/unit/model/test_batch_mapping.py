"""A mapping of many records is a mapping of one, too."""

from typing import Any

import pytest

from crossfade.model.batch_mapping import in_batches

Records = list[dict[str, Any]]


def _upper(records: Records) -> Records:
    return [{"name": record["name"].upper()} for record in records]


def _none_at_all(records: Records) -> Records:
    return records[:0]


def test_one_record_is_a_batch_of_one() -> None:
    """As convergence maps a single key."""
    assert in_batches(_upper)({"name": "ada"}) == {"name": "ADA"}


def test_another_number_of_records_is_refused() -> None:
    """A record must never be lost on the way."""
    with pytest.raises(ValueError, match="as many records"):
        in_batches(_none_at_all)({"name": "ada"})
