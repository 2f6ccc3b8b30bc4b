"""What the ledger knows of one key, and how each event changes it."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from crossfade.model.key import Key, RecordName, decode_key_at
from crossfade.model.side import Side


class DirtyReason(StrEnum):
    """Why the sides of a key are not known to agree."""

    WRITE = "write"
    CHUNK = "chunk"
    DIFFERENCE = "difference"
    EXTRA = "extra"
    REPAIR = "repair"
    UNBOUND = "unbound"
    CONVERGE = "converge"


NEEDS_OTHERS = "a parent is missing, or a child is in the way: "
"""How the reason of a quarantine begins that may end once other rows were copied."""


AUTHORITY_LACKS_IT = "which the authority does not have"
POINTS_TO_IT = "which points to it on the authority still"
_FOR = "it waits for "


def needs(other: RecordName, why: str) -> str:
    """The reason of a quarantine that ends by itself once another record has moved."""
    return f"{NEEDS_OTHERS}{_FOR}{other}, {why}"


def needed(reason: str | None) -> RecordName | None:
    """The record that a quarantined key waits for, where its reason names one."""
    entity, found, rest = (reason or "").removeprefix(f"{NEEDS_OTHERS}{_FOR}").partition(" [")
    if not found or not (reason or "").startswith(f"{NEEDS_OTHERS}{_FOR}"):
        return None
    return RecordName(entity, decode_key_at(f"[{rest}"))


@dataclass(frozen=True, slots=True)
class Lease:
    """Who converges a key now; superseded by a higher token, never forgotten (rule 5)."""

    owner: str
    token: int


class KeyState(Struct, frozen=True):
    """One key's row; a key without a row has agreed since it was covered.

    A struct since every write makes four of them: a frozen dataclass takes twenty times as long.
    The next state is made by `msgspec.structs.replace`.
    """

    entity: str
    key: Key
    seq: int = 0
    """Sequence number of the last start or end of anything that may write this key (rule 3)."""
    clean_seq: int = 0
    open_intents: int = 0
    lease: Lease | None = None
    reason: DirtyReason = DirtyReason.WRITE
    dirty_since: float = 0.0
    """Wall-clock seconds, for people only; kept while the key stays dirty."""
    tries: int = 0
    """Attempts to converge since the key was last clean."""
    quarantine: str | None = None
    """Why the key cannot converge; None where it can."""
    waived: bool = False
    """Whether an operator let the cut-over pass this quarantined key, by name."""
    held_authority: Side | None = None
    """After a forced roll-back: the unreachable side that has the newest value (rule 10)."""
    releasing: bool = False
    """An operator lets go of a held key: no lease may be taken until that is done (case 88)."""

    @property
    def dirty(self) -> bool:
        """Whether the sides are not known to agree."""
        return self.seq > self.clean_seq

    @property
    def quiet(self) -> bool:
        """Whether the sides agree and nothing is under way that could change that."""
        return not self.dirty and self.open_intents == 0 and self.held_authority is None


def touched(state: KeyState, seq: int, reason: DirtyReason, at: float) -> KeyState:
    """Something that may write the key has started or ended: the key is dirty."""
    if state.dirty:
        return replace(state, seq=seq)
    return replace(state, seq=seq, reason=reason, dirty_since=at)


def opened(state: KeyState, seq: int, at: float) -> KeyState:
    """An intent on the key is open."""
    state = touched(state, seq, DirtyReason.WRITE, at)
    return replace(state, open_intents=state.open_intents + 1)


def closed(state: KeyState, seq: int, at: float) -> KeyState:
    """An intent on the key has ended; the writer never clears (rule 2).

    A key that could not converge gets another chance, since its record may have changed.
    """
    state = touched(state, seq, DirtyReason.WRITE, at)
    return replace(state, open_intents=state.open_intents - 1, quarantine=None, waived=False)


def leased(state: KeyState, lease: Lease, at: float) -> KeyState:
    """Somebody converges the key from now on; the token is the new sequence number too."""
    state = touched(state, lease.token, DirtyReason.CONVERGE, at)
    return replace(state, lease=lease, tries=state.tries + 1)


def released(state: KeyState, lease: Lease, *, chunk_since: bool) -> tuple[KeyState, bool]:
    """A fenced put has succeeded: the new state, and whether the key is clean now (rule 4).

    Args:
        state: the key as it is now.
        lease: the lease under which the put was made.
        chunk_since: whether a chunk over the key was opened after the lease was taken.

    """
    if state.lease != lease:
        return state, False
    clear = state.seq == lease.token and state.open_intents == 0 and not chunk_since
    state = replace(state, lease=None)
    if not clear:
        return state, False
    return replace(state, clean_seq=state.seq, tries=0, quarantine=None, waived=False), True


def quarantined(state: KeyState, lease: Lease, reason: str) -> KeyState:
    """The key cannot converge: it stays dirty, visible and counted until its record changes."""
    if state.lease != lease:
        return state
    return replace(state, lease=None, quarantine=reason)


def abandoned(state: KeyState, lease: Lease) -> KeyState:
    """The attempt certainly wrote nothing: somebody may try again at once."""
    return replace(state, lease=None) if state.lease == lease else state
