"""Who waits for whom is remembered within a bound."""

from crossfade.convergence.waiting import WaitingKeys, fingerprint
from crossfade.model.key import RecordName

PARENT = RecordName("person", (1,))
CHILD = RecordName("note", (7,))
OTHER = RecordName("note", (8,))


def test_whoever_waits_is_told_once() -> None:
    """Then it is forgotten."""
    waiting = WaitingKeys()
    waiting.add(CHILD, [PARENT], {})
    waiting.add(OTHER, [PARENT], {})

    assert waiting.ended(PARENT, {"id": 1}) == (CHILD, OTHER)
    assert waiting.ended(PARENT, {"id": 1}) == ()


def test_whoever_saw_the_same_record_waits_on() -> None:
    """Until it is another one, or gone."""
    waiting = WaitingKeys()
    waiting.add(CHILD, [PARENT], {PARENT: fingerprint(None)})
    waiting.add(OTHER, [PARENT], {PARENT: fingerprint({"id": 1})})

    assert waiting.ended(PARENT, None) == (OTHER,)
    assert waiting.ended(PARENT, {"id": 1}) == (CHILD,)


def test_only_so_many_are_remembered() -> None:
    """The others have their pauses; what is remembered already may be renewed."""
    waiting = WaitingKeys(waits_max=1)
    waiting.add(CHILD, [PARENT], {})
    waiting.add(OTHER, [PARENT], {})
    waiting.add(CHILD, [PARENT], {PARENT: fingerprint(None)})

    assert waiting.ended(PARENT, None) == ()
    assert waiting.ended(PARENT, {"id": 1}) == (CHILD,)

    waiting.add(OTHER, [PARENT], {})
    assert waiting.ended(PARENT, None) == (OTHER,)
