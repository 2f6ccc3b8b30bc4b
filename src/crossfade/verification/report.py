"""What a verification has found so far, and how far it is; for people and for the verdict."""

from collections import Counter
from dataclasses import dataclass, field, replace

from crossfade.ledger.transitions.verdicts import ALARM_KEYS_MAX, Verdict
from crossfade.model.key import Key
from crossfade.verification.judge import Judgement


@dataclass(frozen=True, slots=True)
class VerificationProgress:
    """A verification under way at one moment."""

    entity: str
    compared: int
    rows_estimate: int
    different: int
    lagging: int
    rows_per_second: float
    eta_seconds: float | None
    """None where no pace is known."""
    waits_for: str | None
    """Why it is not at full speed, or None."""


@dataclass(slots=True)
class Findings:
    """Counts of one verification while it runs."""

    compared: int = 0
    different: int = 0
    lagging: int = 0
    quarantined: int = 0
    waived: int = 0
    alarm_keys: list[Key] = field(default_factory=list)
    columns: Counter[str] = field(default_factory=Counter)

    def add(self, judgement: Judgement, key: Key, columns: tuple[str, ...]) -> None:
        """Count what was found out about a key that differed at first sight."""
        match judgement:
            case Judgement.ALARM:
                self.different += 1
                self.columns.update(columns)
                if len(self.alarm_keys) < ALARM_KEYS_MAX:
                    self.alarm_keys.append(key)
            case Judgement.QUARANTINED:
                self.quarantined += 1
            case Judgement.WAIVED:
                self.waived += 1
            case Judgement.LAG | Judgement.TOUCHED:
                self.lagging += 1

    def added_to(self, verdict: Verdict) -> Verdict:
        """The verdict with these counts."""
        return replace(
            verdict,
            compared=self.compared,
            different=self.different,
            lagging=self.lagging,
            quarantined=self.quarantined,
            waived=self.waived,
            alarm_keys=tuple(self.alarm_keys),
            columns=dict(self.columns),
        )
