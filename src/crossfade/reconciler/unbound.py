"""Find the records of creates whose id was never learned, then settle those creates."""

from collections.abc import Sequence
from functools import partial

from crossfade.convergence.key_scan import KeyDifferences, in_order
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.unbound import note_found, settle_searched
from crossfade.model.coverage import add_range
from crossfade.model.intent import Intent
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.model.side import Side
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.seams.bundle import Seams


class UnboundCreates:
    """Compares the keys of both sides wherever a chunk may have missed the record.

    That is in every range that was covered, and in the ranges of open chunks: their rows may have
    been read before the record was made. A chunk that opens later reads it, since the create's
    call has certainly ended by now.
    """

    def __init__(
        self, ledger: Ledger, sides: Sides, seams: Seams, options: ReconcilerOptions
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._seams = seams
        self._options = options

    async def settle(self, entity: str, intents: Sequence[Intent]) -> bool:
        """Settle creates of one entity whose calls have certainly ended, with one search for all.

        Returns whether they are settled; False where a chunk over every key is open, which must
        close first. Survives a crash: what was found is dirty, and the search begins anew.

        Raises:
            StoreError: a side cannot be read; the intents stay open.

        """
        stores = self._sides.entities[entity]
        ranges = self._ranges(entity)
        ordered = in_order(stores.legacy, stores.new)
        if not ordered and self._ledger.look(lambda rows: rows.open_chunks(entity)):
            return False
        creators = {intent.authority for intent in intents}
        for creator in sorted(creators):
            for range_ in ranges if ordered else ranges and (EVERY_KEY,):
                await self._search(stores, creator, range_)
        # Crash here: the intents are open still, their records are dirty.
        await self._seams.failpoint("resolver.searched")
        at = self._seams.clock.now().timestamp()
        numbers = [intent.id for intent in intents]
        await self._ledger.transact(partial(settle_searched, intent_ids=numbers, at=at))
        return True

    def _ranges(self, entity: str) -> tuple[KeyRange, ...]:
        ranges = self._ledger.look(lambda rows: rows.entity(entity)).coverage
        for chunk in self._ledger.look(lambda rows: rows.open_chunks(entity)):
            ranges = add_range(ranges, chunk.range)
        return ranges

    async def _search(self, stores: EntityStores, creator: Side, range_: KeyRange) -> None:
        """Make every key dirty that the creator has and the other side lacks."""
        differences = KeyDifferences(
            stores.side(creator), stores.side(creator.other), range_, self._options.scan_rows
        )
        while (page := await differences.next_page()) is not None:
            if page.only_authority:
                at = self._seams.clock.now().timestamp()
                note = partial(
                    note_found,
                    entity=stores.entity.name,
                    keys=page.only_authority,
                    creator=creator,
                    at=at,
                )
                await self._ledger.transact(note)
