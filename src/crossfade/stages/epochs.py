"""What a change of authority asks of the stores: raised epochs, and sequences moved on."""

import asyncio
from collections.abc import Iterable

from crossfade.convergence.sides import Sides
from crossfade.errors import StoreError, UnreachableError
from crossfade.ledger.rows import LedgerIdentity
from crossfade.model.side import Side
from crossfade.store.base import FencedDatabase, StoreEpoch


class Epochs:
    """The epoch rows of both sides' databases, and the sequences of their stores."""

    def __init__(self, sides: Sides, identity: LedgerIdentity, store_seconds_max: float) -> None:
        self._sides = sides
        self._identity = identity
        self._seconds = store_seconds_max

    async def raise_to(self, epoch: int, sides: Iterable[Side]) -> None:
        """Raise every database of the sides, one after the other; never lowers one.

        May be repeated. A crash between two databases leaves them apart; the flip row in the
        ledger says so, and whoever comes next raises the rest.

        Raises:
            UnreachableError: a database does not answer; some may have been raised.
            ForeignLedgerError: a database belongs to another ledger.

        """
        for side in sides:
            for database in self._sides.databases[side]:
                await self._raise(database, epoch)

    async def move_sequences(self, side: Side) -> None:
        """Move the sequences of a side past every id that was copied there; may be repeated.

        Else the first record that the new authority creates would meet an id that is taken.

        Raises:
            UnreachableError: a store does not answer.
            StoreError: a store does not let its sequences be moved.

        """
        for stores in self._sides.entities.values():
            try:
                async with asyncio.timeout(self._seconds):
                    await stores.side(side).move_sequences()
            except TimeoutError as error:
                raise UnreachableError(
                    f"the sequences of {stores.entity.name} on {side} could not be moved within "
                    f"{self._seconds:g} s. See whether the database runs, then try again."
                ) from error

    async def answers(self, side: Side) -> bool:
        """Whether every database of the side answers now."""
        try:
            for database in self._sides.databases[side]:
                async with asyncio.timeout(self._seconds):
                    await database.epoch()
        except (StoreError, TimeoutError):
            return False
        return True

    async def _raise(self, database: FencedDatabase, epoch: int) -> None:
        wanted = StoreEpoch(self._identity.ledger_id, self._identity.incarnation, epoch)
        try:
            async with asyncio.timeout(self._seconds):
                await database.raise_epoch(wanted)
        except TimeoutError as error:
            raise UnreachableError(
                f"{database.name} does not answer within {self._seconds:g} s. "
                "See whether the database runs, then try again."
            ) from error
