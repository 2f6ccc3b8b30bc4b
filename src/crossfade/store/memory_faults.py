"""What a test or a simulation can do to a memory database: cut it off, lose its answers."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from crossfade.errors import StoreOutcomeUnknownError, StoreUnreachableError

Result = TypeVar("Result")


class Applied(Enum):
    """What became of a put whose answer was lost."""

    AT_ONCE = "it took place, only the answer was lost"
    LATER = "it takes place when `apply_late` is called, if nothing fences it by then"
    NEVER = "it did not take place"


class MemoryFaults:
    """The faults of one database; none until somebody asks for one."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._lost: list[Applied] = []
        self._late: list[Callable[[], object]] = []
        self.unreachable = False
        """While it is set every call raises `StoreUnreachableError` and changes nothing."""

    def lose_answers(self, applied: Applied, times: int = 1) -> None:
        """The next so many puts raise `StoreOutcomeUnknownError`."""
        self._lost.extend([applied] * times)

    @property
    def late(self) -> int:
        """How many puts wait for `apply_late`."""
        return len(self._late)

    def apply_late(self) -> None:
        """The puts that were to take place later take place now, in the order they were sent."""
        waiting, self._late = self._late, []
        for transaction in waiting:
            transaction()

    def check_reachable(self) -> None:
        """Raise what a cut-off database raises."""
        if self.unreachable:
            raise StoreUnreachableError(f"the database {self._database} does not answer.")

    def run(self, transaction: Callable[[], Result]) -> Result:
        """Run one put's transaction under the faults that were asked for."""
        self.check_reachable()
        if not self._lost:
            return transaction()
        applied = self._lost.pop(0)
        if applied is Applied.AT_ONCE:
            transaction()
        if applied is Applied.LATER:
            self._late.append(transaction)
        raise StoreOutcomeUnknownError(
            f"the database {self._database} did not answer the put. "
            f"It is put again with a higher token."
        )
