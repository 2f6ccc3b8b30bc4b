"""Every error that crossfade raises on purpose: what happened, why, and what to do next."""

from collections.abc import Sequence


class CrossfadeError(Exception):
    """Base of all our errors; the message is one line that ends with what to do."""

    exit_code = 1
    """What the command line exits with when this error ends a command."""


class ConfigurationError(CrossfadeError):
    """The configuration or the migration definition cannot be used as it is."""

    exit_code = 3


class DefinitionError(ConfigurationError):
    """The migration definition contradicts itself; found before anything runs."""


class PortInUseError(ConfigurationError):
    """Another process listens on the port that was asked for."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: the port is in use. "
            f"Stop the other process or choose another port."
        )
        self.host = host
        self.port = port


class UnreachableError(CrossfadeError):
    """A service, database or node does not answer."""

    exit_code = 4


class GateError(CrossfadeError):
    """A gate or the state machine refuses; nothing was changed."""

    exit_code = 5


class IllegalMoveError(GateError):
    """The stages named are not neighbours."""

    def __init__(self, current: str, wanted: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"cannot move from {current} to {wanted}: not a step of the stage machine. "
            f"From {current} you can move to: {', '.join(allowed) or 'nowhere'}."
        )
        self.current = current
        self.wanted = wanted
        self.allowed = tuple(allowed)


class MoveRefusedError(GateError):
    """A gate is red, or a change of authority was undone; `crossfade plan` says the same."""

    def __init__(
        self, current: str, wanted: str, reasons: Sequence[str], *, gated: bool = True
    ) -> None:
        """Say why not.

        Args:
            current: the stage that stays.
            wanted: the stage that was asked for.
            reasons: what is in the way, each with the command that helps.
            gated: whether the move has gates, whose evidence can be looked at.

        """
        todo = f"Run `crossfade plan {wanted}` for the evidence."
        if not gated:
            todo = "Nothing has changed; try again when that is settled."
        super().__init__(f"cannot move from {current} to {wanted}: {'; '.join(reasons)}. {todo}")
        self.current = current
        self.wanted = wanted
        self.reasons = tuple(reasons)


class ChangedMeanwhileError(GateError):
    """Somebody else changed the stage since the caller looked; nothing was changed."""


class LockedError(CrossfadeError):
    """Another process holds what this one needs."""

    exit_code = 8


class LedgerError(CrossfadeError):
    """The ledger could not do what was asked; nothing was committed."""


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be written, so no new write is accepted."""

    exit_code = 4


class LedgerVersionError(LedgerError):
    """The ledger was written by another release than this one can read."""

    exit_code = 3


class ForeignLedgerError(LedgerError):
    """A store is fenced by another ledger, or by a later state of this one."""

    exit_code = 3


class StoreError(CrossfadeError):
    """A store refused or failed; the message is the store's own, without values of rows."""


class StoreUnreachableError(StoreError):
    """The store did not answer; a read may be repeated, nothing was changed."""

    exit_code = 4


class NoDatabaseError(ConfigurationError, StoreUnreachableError):
    """There is no such database: a wrong address, or it is gone for a while."""

    exit_code = 3


class NotPreparedError(ConfigurationError):
    """A store has no mark of the migration: not prepared yet, made anew, or emptied."""


class RightMissingError(ConfigurationError):
    """The user of a database's URL may not do what is needed; the message names the right."""


class StoreOutcomeUnknownError(StoreError):
    """The store may or may not have applied a put; only a put with a higher token settles it."""

    exit_code = 4


class MappingError(CrossfadeError):
    """A mapping raised or returned something that is no record."""


class WritesHeldError(CrossfadeError):
    """Writes wait (a flip, a freeze, `read_only`, a held key); the caller should try again."""

    exit_code = 5

    def __init__(self, reason: str, retry_after_seconds: float) -> None:
        super().__init__(f"writes are held: {reason}. Try again later.")
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class KeyHeldError(CrossfadeError):
    """A key is held after a forced roll-back: neither side may answer for it."""

    exit_code = 5

    def __init__(self, entity: str, retry_after_seconds: float) -> None:
        super().__init__(
            f"a key of {entity} is held until the side that has its newest value answers. "
            "Try again later."
        )
        self.entity = entity
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknownError(CrossfadeError):
    """The authority gave no complete answer: the write may or may not have happened."""


class UpstreamFailedError(CrossfadeError):
    """A side did not answer, and certainly did not act."""

    exit_code = 4


class NotRunningError(CrossfadeError):
    """An operation was called where no crossfade runs; neither side was asked."""


class KeyArgumentError(CrossfadeError):
    """The arguments of a call hold no key of the entity; neither side was asked."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(
            f"{operation}: the key cannot be used: {reason}. Mend the call, or key= of the "
            "operation."
        )
        self.operation = operation


class NestedWriteError(CrossfadeError):
    """A call inside another one may not write there; nothing was written.

    It is only compared, or it is not part of the transaction of the write around it.
    """
