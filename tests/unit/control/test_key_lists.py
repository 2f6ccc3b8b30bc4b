"""Lists of keys say which, why, and how many more there are."""

import pytest

from crossfade.control.key_lists import KeyLists
from crossfade.errors import ConfigurationError
from crossfade.ledger.memory import MemoryLedger
from tests.unit.control.ledgers import dirty, make_ledger, make_telling, quarantine


def lists(ledger: MemoryLedger) -> KeyLists:
    """The lists of a ledger."""
    return KeyLists(make_telling(ledger))


def test_dirty_keys_are_listed_with_their_reason() -> None:
    """By entity, bounded, with the whole count beside."""
    ledger = make_ledger()
    dirty(ledger, "customer", (1,), (2,), (3,))
    dirty(ledger, "order", (9,))

    told = lists(ledger).dirty("customer", limit=2)

    assert [(one["key"], one["reason"]) for one in told["keys"]] == [
        ([1], "repair"),
        ([2], "repair"),
    ]
    assert told["total"] == 3
    assert lists(ledger).dirty()["total"] == 4


def test_quarantined_keys_say_why() -> None:
    """The reason is the mirror's, without values."""
    ledger = make_ledger()
    quarantine(ledger, "order", (4,), "the column total cannot be null")

    told = lists(ledger).quarantine()

    assert (told["quarantined"], told["waived"]) == (1, 0)
    assert told["keys"][0]["quarantine"] == "the column total cannot be null"


def test_nothing_is_held_without_a_forced_roll_back() -> None:
    """Neither keys nor entities."""
    ledger = make_ledger()
    dirty(ledger, "order", (4,))

    told = lists(ledger).dirty(held=True)

    assert (told["keys"], told["total"], told["entities_held"]) == ([], 0, [])


def test_an_entity_that_does_not_exist_is_refused() -> None:
    """With the names that do."""
    for look in (lists(make_ledger()).dirty, lists(make_ledger()).quarantine):
        with pytest.raises(ConfigurationError, match="customer, order"):
            look("orders")
