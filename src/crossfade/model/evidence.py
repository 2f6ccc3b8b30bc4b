"""Evidence: what the gates of a move look at, and the thresholds they hold it against."""

from dataclasses import dataclass

from crossfade.model.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """How much is too much; every threshold has its unit and its reason."""

    backlog_keys_max: int = 1_000
    """Dirty keys before a flip: some hundred milliseconds of convergence."""

    oldest_dirty_seconds_max: float = 30.0
    """Seconds that the oldest dirty key has been dirty. Older ones do not converge by waiting."""

    pause_budget_ms: float = 1_000.0
    """Milliseconds that writers may wait for a flip; callers rarely give up sooner."""

    doubtful_intents_max: int = 0
    """Writes in doubt: a flip has to wait until each is settled, which takes `answers_within`."""

    verification_age_seconds_max: float = 86_400.0
    """Seconds since an entity was verified; what held last week says little about today."""

    verified_fraction_min: float = 1.0
    """Share of the keys that a verification must compare, in (0, 1]; a sample proves less."""

    compared_min: int = 20
    """Comparisons of each read operation since the last fix; fewer prove nothing."""

    mismatch_ratio_max: float = 0.0
    """Share of comparisons and replays that may differ, in [0, 1], for each operation."""

    refused_replays_max: int = 0
    """Operations that legacy did and new refused, in all: callers would meet those refusals."""

    error_ratio_max: float = 0.05
    """Share of comparisons that new may leave unanswered, in [0, 1], for each operation."""

    failed_answers_max: int = 0
    """Answers of 500 and above, or none at all, that callers got since `live` began."""

    soak_seconds_min: float = 60.0
    """Seconds in `live` before `completed`; a real migration waits for its rarest callers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationEvidence:
    """The last complete verification of one entity."""

    passed: bool
    """No key that was known to agree differed."""
    generation: int
    fraction: float = 1.0
    """Share of the keys that was compared."""
    alarms: int = 0
    """Keys that differed although nothing that we know of had written them."""
    age_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityEvidence:
    """What is known of one entity."""

    name: str
    generation: int = 0
    covered: bool = False
    """Whether every key was copied in this generation, or has been tracked since."""
    quarantined: int = 0
    """Quarantined keys that no operator waived by name."""
    must_cover: float = 0.0
    """Share of the keys that must be compared to clear an alarm that stands, whether or not the
    verification that raised it has ended; 0: none stands."""
    verification: VerificationEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEvidence:
    """What comparison and replay found of one operation since its last mismatch was resolved."""

    name: str
    compares: bool = True
    """Whether it is a read, of which a minimum is to be compared."""
    compared: int = 0
    """Judged comparisons and replays: matches and mismatches."""
    mismatched: int = 0
    errors: int = 0
    """Comparisons and replays without an answer that could be judged."""
    refused_replays: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a gate looks at, gathered at one moment."""

    current: Stage
    wanted: Stage
    entities: tuple[EntityEvidence, ...] = ()
    operations: tuple[OperationEvidence, ...] = ()
    node_alive: bool = True
    """Whether a node carries out requests and convergence."""
    unreachable: tuple[str, ...] = ()
    """Services and databases that do not answer, by name, without secrets."""
    unprepared: tuple[str, ...] = ()
    """Databases without the two tables, or without the rights on them."""
    barrier_passed: bool = False
    dirty_keys: int = 0
    oldest_dirty_seconds: float = 0.0
    """0 where no key is dirty."""
    keys_converged_per_second: float = 0.0
    """Measured lately under load; 0 where nothing was measured."""
    open_intents: int = 0
    doubtful_intents: int = 0
    held_keys: int = 0
    stage_seconds: float = 0.0
    """How long the current stage has held."""
    failed_answers: int = 0
    """Failures that callers met since the current stage began."""
    waived: frozenset[str] = frozenset()
    """Gates that an operator passes by name; whoever gathers the evidence audits the reason."""

    @property
    def drain_seconds(self) -> float | None:
        """How long the backlog takes to converge; None where no pace is known."""
        waiting = self.dirty_keys + self.open_intents
        if waiting == 0:
            return 0.0
        if self.keys_converged_per_second <= 0:
            return None
        return waiting / self.keys_converged_per_second
