"""What a move does, in plain words, for `plan` and for whoever has to confirm it."""

from crossfade.model.stage import STAGE_RULES, MoveKind, Stage, WriteMode

_WRITES = {
    WriteMode.UNTRACKED: "writes go to legacy alone",
    WriteMode.REFUSED: "writes are refused (503, Retry-After)",
    WriteMode.TRACKED: "every write is recorded first, made on the authority, then on the mirror",
}

_KINDS = {
    MoveKind.LEAVE_OFF: (
        "copying begins once every write that carries no record has certainly ended",
    ),
    MoveKind.ENTER_OFF: (
        "new is not kept up to date any more; what was copied counts for nothing",
        "coming back needs a new backfill and verification",
    ),
    MoveKind.FLIP: (
        "writers wait for a moment, everything still open converges, then the authority changes",
        "over the pause budget nothing changes",
    ),
    MoveKind.PLAIN: ("no writer waits",),
}


def effects_of(current: Stage, wanted: Stage, kind: MoveKind) -> tuple[str, ...]:
    """What a move does: who answers, what happens to writes, what it costs."""
    before, after = STAGE_RULES[current], STAGE_RULES[wanted]
    authority = f"{after.authority} has authority"
    if before.authority is not after.authority:
        authority = f"the authority changes from {before.authority} to {after.authority}"
    effects = [authority, _WRITES[after.writes], *_KINDS[kind]]
    if wanted is Stage.COMPLETED:
        effects.append("legacy is still written back to, until `crossfade retire`")
    return tuple(effects)
