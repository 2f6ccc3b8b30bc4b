"""The five stages, what each one means for reads and writes, and the moves between them."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from crossfade.model.side import Side


class Stage(StrEnum):
    """How far a migration has come; the authority is the side whose answer stands."""

    OFF = "off"
    READ_ONLY = "read_only"
    SHADOW = "shadow"
    LIVE = "live"
    COMPLETED = "completed"


class WriteMode(Enum):
    """What happens to a write in a stage."""

    UNTRACKED = "goes to legacy, no intent"
    REFUSED = "is refused: 503 with Retry-After"
    TRACKED = "intent, then the authority, then the mirror"


@dataclass(frozen=True, slots=True)
class StageRules:
    """One line of the stage table."""

    authority: Side
    writes: WriteMode
    compares_reads: bool = False
    """Whether reads may be asked of new too, off the reply path."""
    canary_reads: bool = False
    """Whether a share of reads may be served by the mirror."""


STAGE_RULES = {
    Stage.OFF: StageRules(Side.LEGACY, WriteMode.UNTRACKED, compares_reads=True),
    Stage.READ_ONLY: StageRules(Side.LEGACY, WriteMode.REFUSED, compares_reads=True),
    Stage.SHADOW: StageRules(
        Side.LEGACY, WriteMode.TRACKED, compares_reads=True, canary_reads=True
    ),
    Stage.LIVE: StageRules(Side.NEW, WriteMode.TRACKED),
    # Until `retire`, so that even a completed migration can be rolled back.
    Stage.COMPLETED: StageRules(Side.NEW, WriteMode.TRACKED),
}


class MoveKind(Enum):
    """What a move between two stages has to do besides changing the name."""

    LEAVE_OFF = "barrier: writes without intent must have ended before anything is copied"
    ENTER_OFF = "a new generation: what was copied counts for nothing"
    FLIP = "the authority changes: hold, settle, converge, fence, commit"
    PLAIN = "the rules change, the authority stays"


MOVES: dict[tuple[Stage, Stage], MoveKind] = {
    (Stage.OFF, Stage.READ_ONLY): MoveKind.LEAVE_OFF,
    (Stage.OFF, Stage.SHADOW): MoveKind.LEAVE_OFF,
    (Stage.READ_ONLY, Stage.SHADOW): MoveKind.PLAIN,
    (Stage.SHADOW, Stage.LIVE): MoveKind.FLIP,
    (Stage.LIVE, Stage.COMPLETED): MoveKind.PLAIN,
    (Stage.COMPLETED, Stage.LIVE): MoveKind.PLAIN,
    (Stage.LIVE, Stage.SHADOW): MoveKind.FLIP,
    (Stage.SHADOW, Stage.READ_ONLY): MoveKind.PLAIN,
    (Stage.SHADOW, Stage.OFF): MoveKind.ENTER_OFF,
    (Stage.READ_ONLY, Stage.OFF): MoveKind.ENTER_OFF,
}

_ORDER = tuple(Stage)


def moves_from(stage: Stage) -> tuple[Stage, ...]:
    """The stages that can be reached in one step, in the order of the table."""
    return tuple(wanted for current, wanted in MOVES if current is stage)


def move_kind(current: Stage, wanted: Stage) -> MoveKind | None:
    """The kind of a move, or None where the stages are no neighbours."""
    return MOVES.get((current, wanted))


def is_forward(current: Stage, wanted: Stage) -> bool:
    """Whether a move goes towards `completed`; only those wait for gates."""
    return _ORDER.index(wanted) > _ORDER.index(current)
