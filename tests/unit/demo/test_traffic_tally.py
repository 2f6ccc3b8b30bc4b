"""What the demo's callers count is what happened to them."""

from crossfade.demo.history import Kind, Outcome
from crossfade.demo.traffic_tally import Tally


def test_attempts_are_counted_by_how_they_ended() -> None:
    """What was not sent is no request."""
    tally = Tally()
    for kind, outcome in [
        (Kind.READ, Outcome.ACKNOWLEDGED),
        (Kind.LIST, Outcome.ACKNOWLEDGED),
        (Kind.DELETE, Outcome.ACKNOWLEDGED),
        (Kind.WRITE, Outcome.REFUSED),
        (Kind.WRITE, Outcome.CUT),
        (Kind.CREATE, Outcome.UNSENT),
    ]:
        tally.ended(kind, outcome)

    figures = tally.as_json()

    assert (figures["requests"], figures["acknowledged"]) == (5, 3)
    assert (figures["acknowledged_reads"], figures["acknowledged_writes"]) == (2, 1)
    assert (figures["refused"], figures["cut"], figures["unsent"]) == (1, 1, 1)
    assert (figures["failed"], figures["unknown"]) == (0, 0)


def test_the_longest_waits_of_writers_are_kept() -> None:
    """One writer's own wait, and the time in which no writer at all got through."""
    tally = Tally()
    tally.write_acknowledged(0.25, now=10.0, attempts=1)
    tally.write_acknowledged(0.75, now=10.5, attempts=4)
    tally.write_acknowledged(0.01, now=10.6, attempts=1)

    figures = tally.as_json()

    assert (figures["longest_write_wait_ms"], figures["longest_write_gap_ms"]) == (750, 500)
    assert figures["held_writes"] == 1


def test_a_pause_that_was_asked_for_is_no_gap() -> None:
    """Nobody wanted to write meanwhile."""
    tally = Tally()
    tally.write_acknowledged(0.01, now=10.0, attempts=1)
    tally.paused()
    tally.write_acknowledged(0.01, now=99.0, attempts=1)

    assert tally.as_json()["longest_write_gap_ms"] == 0
