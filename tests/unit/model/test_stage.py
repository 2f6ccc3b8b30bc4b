"""The stage machine: which moves exist, and what each stage means."""

import pytest

from crossfade.model.side import Side
from crossfade.model.stage import (
    MOVES,
    STAGE_RULES,
    MoveKind,
    Stage,
    WriteMode,
    is_forward,
    move_kind,
    moves_from,
)

LEGAL = {
    ("off", "read_only"),
    ("off", "shadow"),
    ("read_only", "off"),
    ("read_only", "shadow"),
    ("shadow", "read_only"),
    ("shadow", "off"),
    ("shadow", "live"),
    ("live", "shadow"),
    ("live", "completed"),
    ("completed", "live"),
}


@pytest.mark.parametrize("current", list(Stage))
@pytest.mark.parametrize("wanted", list(Stage))
def test_only_neighbours_can_be_reached(current: Stage, wanted: Stage) -> None:
    """Every pair of stages is a legal move or none at all."""
    legal = (current.value, wanted.value) in LEGAL

    assert (move_kind(current, wanted) is not None) == legal
    assert (wanted in moves_from(current)) == legal


def test_every_move_can_be_undone() -> None:
    """For each move there is a move back."""
    assert {(wanted, current) for current, wanted in MOVES} == set(MOVES)


def test_only_shadow_and_live_change_the_authority() -> None:
    """A flip is exactly a move between stages of different authority."""
    for (current, wanted), kind in MOVES.items():
        changes = STAGE_RULES[current].authority is not STAGE_RULES[wanted].authority

        assert (kind is MoveKind.FLIP) == changes


def test_legacy_has_authority_until_live() -> None:
    """The table of DESIGN: authority and what happens to writes."""
    authority = {stage.value: rules.authority for stage, rules in STAGE_RULES.items()}
    writes = {stage.value: rules.writes for stage, rules in STAGE_RULES.items()}

    assert authority == {
        "off": Side.LEGACY,
        "read_only": Side.LEGACY,
        "shadow": Side.LEGACY,
        "live": Side.NEW,
        "completed": Side.NEW,
    }
    assert writes == {
        "off": WriteMode.UNTRACKED,
        "read_only": WriteMode.REFUSED,
        "shadow": WriteMode.TRACKED,
        "live": WriteMode.TRACKED,
        "completed": WriteMode.TRACKED,
    }


def test_gates_are_asked_only_on_the_way_forward() -> None:
    """Moving towards `completed` is forward, everything else is a way back."""
    assert is_forward(Stage.SHADOW, Stage.LIVE)
    assert not is_forward(Stage.COMPLETED, Stage.LIVE)
    assert not is_forward(Stage.SHADOW, Stage.OFF)


def test_canary_reads_exist_only_while_legacy_has_authority() -> None:
    """A canary is a share of reads served by the mirror in `shadow`."""
    allowed = [stage for stage, rules in STAGE_RULES.items() if rules.canary_reads]

    assert allowed == [Stage.SHADOW]
