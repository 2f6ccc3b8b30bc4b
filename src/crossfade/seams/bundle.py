"""The seams of one node, passed on as one value."""

from dataclasses import dataclass

from crossfade.seams.clock import Clock
from crossfade.seams.failpoint import Failpoint
from crossfade.seams.randomness import Randomness
from crossfade.seams.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Seams:
    """Everything a component needs of the outside world but stores, ledger and services."""

    clock: Clock
    randomness: Randomness
    tasks: Tasks
    failpoint: Failpoint
