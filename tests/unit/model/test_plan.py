"""Plans: who is asked, for each stage, kind of operation and standing of the key."""

import pytest

from crossfade.model.plan import (
    KeyStanding,
    plan_read,
    plan_write,
)
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, Stage, WriteMode


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("standing", [KeyStanding.AGREES, KeyStanding.UNSURE])
def test_reads_come_from_the_authority_without_a_canary(
    stage: Stage, standing: KeyStanding
) -> None:
    """Whatever the key's standing, the authority answers."""
    plan = plan_read(stage, standing, canary=False)

    assert plan.serve is STAGE_RULES[stage].authority
    assert not plan.canary
    assert plan.compare == STAGE_RULES[stage].compares_reads


def test_a_canary_read_is_served_by_new_only_where_the_key_agrees() -> None:
    """A key that is not known to agree is read from legacy (rule 11)."""
    agreeing = plan_read(Stage.SHADOW, KeyStanding.AGREES, canary=True)
    unsure = plan_read(Stage.SHADOW, KeyStanding.UNSURE, canary=True)

    assert (agreeing.serve, agreeing.canary) == (Side.NEW, True)
    assert unsure.serve is Side.LEGACY


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.SHADOW])
def test_there_is_no_canary_outside_shadow(stage: Stage) -> None:
    """In the other stages the canary share makes no difference."""
    assert plan_read(stage, KeyStanding.AGREES, canary=True) == plan_read(
        stage, KeyStanding.AGREES, canary=False
    )


@pytest.mark.parametrize("stage", list(Stage))
def test_a_held_key_is_neither_read_nor_written(stage: Stage) -> None:
    """After a forced roll-back nobody may answer for a held key."""
    assert plan_read(stage, KeyStanding.HELD, canary=True).serve is None
    assert plan_write(stage, KeyStanding.HELD).authority is None


@pytest.mark.parametrize("stage", list(Stage))
def test_writes_follow_the_stage_table(stage: Stage) -> None:
    """Tracked writes name a mirror, untracked ones none, refused ones no authority."""
    plan = plan_write(stage, KeyStanding.UNSURE)
    mode = STAGE_RULES[stage].writes

    assert plan.tracked == (mode is WriteMode.TRACKED)
    assert (plan.authority is None) == (mode is WriteMode.REFUSED)
    if plan.tracked:
        assert plan.authority is STAGE_RULES[stage].authority
        assert plan.mirror is plan.authority.other


def test_a_retired_migration_writes_to_new_alone() -> None:
    """After `retire` nothing is written back and no intent is needed."""
    plan = plan_write(Stage.COMPLETED, KeyStanding.UNSURE, retired=True)

    assert (plan.authority, plan.mirror, plan.tracked) == (Side.NEW, None, False)
