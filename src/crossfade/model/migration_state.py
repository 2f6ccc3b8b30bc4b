"""The one row that says where a migration stands: stage, epoch, authority, flip, holds."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, Stage


class FlipKind(StrEnum):
    """Why the epoch is being changed; every change of epoch holds the one flip row (rule 10)."""

    FLIP = "flip"
    BARRIER = "barrier"
    FORCED = "forced"


class FlipPhase(StrEnum):
    """How far a change of epoch has come; whoever comes next completes or undoes it."""

    HOLDING = "holding"
    """Writers wait, intents are settled, keys converge; undone without a trace."""
    FENCING = "fencing"
    """Everything agrees; the stores' epochs are being raised to `epoch + 1`."""
    UNDOING = "undoing"
    """The stores' epochs are being raised to `epoch + 2`, then the ledger's; nothing changes."""


@dataclass(frozen=True, slots=True)
class Flip:
    """The flip row: a change of epoch under way."""

    id: int
    kind: FlipKind
    phase: FlipPhase
    wanted: Stage
    """The stage that the commit brings; the present one for a barrier."""
    epoch: int
    """The ledger's epoch when the change began."""
    reason: str = ""
    actor: str = ""
    node: str = ""
    """The process that carries it out, where several share the ledger; if it dies, another one
    completes or undoes it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Writes that wait: all of them, those of one entity, or those of one key."""

    name: str
    reason: str
    entity: str | None = None
    key: Key | None = None

    def applies_to(self, entity: str, keys: tuple[Key, ...]) -> bool:
        """Whether a write to these keys must wait."""
        if self.entity is None:
            return True
        if self.entity != entity:
            return False
        return self.key is None or self.key in keys


@dataclass(frozen=True, slots=True)
class MigrationState:
    """Where a migration stands; changed only by the ledger's stage transitions."""

    stage: Stage = Stage.OFF
    stage_since: float = 0.0
    """Wall-clock seconds since 1970 at which the stage was entered, for soak times and people."""
    decision: int = 0
    """Number of the stage decision; every move adds one."""
    epoch: int = 0
    """Fences copies; equal to the stores' epochs unless a flip is under way."""
    barrier_passed: bool = False
    """Whether all writes without intent have certainly ended since `off` was left (rule 9)."""
    untracked_served: bool = False
    """Whether some node may have sent writes without intent since the last barrier."""
    flip: Flip | None = None
    holds: tuple[Hold, ...] = ()
    retired: bool = False
    holds_keys: bool = False
    """After a forced roll-back: some keys may be held; reads ask the ledger while this is so."""
    confirmed_legacy: int = 0
    """The highest epoch that legacy's databases were known to have taken."""
    confirmed_new: int = 0
    """The same of new's; one that comes back with a lower epoch has lost data."""
    lost_side: Side | None = None
    """After a forced roll-back: the side that was dead and has not been taken back yet."""
    lost_epoch: int = 0
    """The epoch that the lost side must still have when it answers again."""

    @property
    def authority(self) -> Side:
        """The side whose answer stands, but for keys that are held."""
        return STAGE_RULES[self.stage].authority

    @property
    def mirror(self) -> Side:
        """The side that follows."""
        return self.authority.other

    def confirmed(self, side: Side) -> int:
        """The highest epoch that the side's databases were known to have taken."""
        return self.confirmed_legacy if side is Side.LEGACY else self.confirmed_new

    def with_confirmed(self, sides: Iterable[Side], epoch: int) -> "MigrationState":
        """The same after these sides have taken an epoch."""
        taken = tuple(sides)
        legacy = max(self.confirmed_legacy, epoch * (Side.LEGACY in taken))
        new = max(self.confirmed_new, epoch * (Side.NEW in taken))
        return replace(self, confirmed_legacy=legacy, confirmed_new=new)

    @property
    def copies_allowed(self) -> bool:
        """Whether chunks may open: `off` was left and the barrier behind it has passed."""
        return self.stage is not Stage.OFF and self.barrier_passed and not self.retired

    def hold_for(self, entity: str, keys: tuple[Key, ...]) -> str | None:
        """Why a write to these keys must wait now, or None."""
        flip = self.flip
        if flip is not None and flip.kind in (FlipKind.FLIP, FlipKind.FORCED):
            return f"the authority is changing ({flip.kind} to {flip.wanted})"
        for hold in self.holds:
            if hold.applies_to(entity, keys):
                return hold.reason
        return None
