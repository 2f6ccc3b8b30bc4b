"""Who is asked, in what order, for each stage, kind of operation and state of the key."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, Stage


class OperationKind(StrEnum):
    """What an operation does to its keys."""

    READ = "read"
    WRITE = "write"


class KeyStanding(Enum):
    """What the ledger can promise of a key when a request is routed."""

    AGREES = "covered, clean, no open intent: both sides answer alike"
    UNSURE = "dirty, being written, not covered, or without a key"
    HELD = "newest value on a side that does not answer"


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Who serves a read; None refuses it."""

    serve: Side | None
    compare: bool = False
    """Whether the other side may be asked too, off the reply path."""
    canary: bool = False
    """Whether the key must still agree, untouched, when the answer comes back; else the authority
    is asked (rule 11). An authority's own answer needs the same epoch and authority."""


@dataclass(frozen=True, slots=True)
class WritePlan:
    """Who is written; `authority` None refuses the write."""

    authority: Side | None
    mirror: Side | None
    tracked: bool
    """Whether an intent comes first."""


READ_PLANS = {
    Stage.OFF: ReadPlan(Side.LEGACY, compare=True),
    Stage.READ_ONLY: ReadPlan(Side.LEGACY, compare=True),
    Stage.SHADOW: ReadPlan(Side.LEGACY, compare=True),
    Stage.LIVE: ReadPlan(Side.NEW),
    Stage.COMPLETED: ReadPlan(Side.NEW),
}

# A canary serves from new only what agrees; legacy is still compared with it.
CANARY_PLAN = ReadPlan(Side.NEW, compare=True, canary=True)

REFUSED_READ = ReadPlan(None)

WRITE_PLANS = {
    Stage.OFF: WritePlan(Side.LEGACY, None, tracked=False),
    Stage.READ_ONLY: WritePlan(None, None, tracked=False),
    Stage.SHADOW: WritePlan(Side.LEGACY, Side.NEW, tracked=True),
    # New answers, yet legacy still follows, so that rolling back loses nothing.
    Stage.LIVE: WritePlan(Side.NEW, Side.LEGACY, tracked=True),
    # Until `retire`, so that even a completed migration can be rolled back.
    Stage.COMPLETED: WritePlan(Side.NEW, Side.LEGACY, tracked=True),
}

RETIRED_WRITE = WritePlan(Side.NEW, None, tracked=False)
REFUSED_WRITE = WritePlan(None, None, tracked=False)


def plan_read(stage: Stage, standing: KeyStanding, *, canary: bool) -> ReadPlan:
    """The plan of a read; `canary` says that the key belongs to the share served by new."""
    if standing is KeyStanding.HELD:
        return REFUSED_READ
    if canary and standing is KeyStanding.AGREES and STAGE_RULES[stage].canary_reads:
        return CANARY_PLAN
    return READ_PLANS[stage]


def plan_write(stage: Stage, standing: KeyStanding, *, retired: bool = False) -> WritePlan:
    """The plan of a write; a held key is refused, whatever the stage."""
    if standing is KeyStanding.HELD:
        return REFUSED_WRITE
    if retired:
        return RETIRED_WRITE
    return WRITE_PLANS[stage]
