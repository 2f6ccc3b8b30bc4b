"""Events become log lines: the ones that matter at once, the rest on request."""

import io
import json

import pytest

from crossfade.observability.events import (
    AlarmRaised,
    Event,
    FlipUndone,
    KeyConverged,
    WorkerFailed,
)
from crossfade.observability.logging import LEVELS, EventLog


def _logged(event: Event, level: str, *, as_json: bool = False) -> str:
    output = io.StringIO()
    EventLog(level, output, json=as_json)(event)
    return output.getvalue()


@pytest.mark.parametrize(
    ("event", "least"),
    [
        (KeyConverged("order", 1), "debug"),
        (WorkerFailed("backfill", "no disk"), "warning"),
        (AlarmRaised("order", 2), "error"),
    ],
)
def test_a_level_lets_its_own_events_and_graver_ones_pass(event: Event, least: str) -> None:
    """What comes with every request is only for `debug`."""
    for level, number in LEVELS.items():
        assert bool(_logged(event, level)) == (number <= LEVELS[least])


def test_a_line_names_the_event_and_its_facts() -> None:
    """In the order in which people read."""
    line = _logged(FlipUndone("live", ("2 dirty keys", "over budget"), 12.5), "info")

    assert line.startswith("at=")
    assert "level=warning event=FlipUndone" in line
    assert 'reasons="2 dirty keys, over budget"' in line


def test_an_event_is_one_line_whatever_it_holds() -> None:
    """A line break in a reason forges no second line."""
    line = _logged(WorkerFailed("x", "first\nlevel=error event=Forged"), "info")

    assert line.count("\n") == 1


def test_lines_may_be_json() -> None:
    """For machines."""
    document = json.loads(_logged(AlarmRaised("order", 2), "info", as_json=True))

    assert (document["event"], document["entity"], document["count"]) == (
        "AlarmRaised",
        "order",
        2,
    )
