"""Use cases on keys by name: repair, retry, waive, release."""

from collections.abc import Sequence
from functools import partial

from crossfade.control.documents import Document, document
from crossfade.control.outline import Outline
from crossfade.control.requests import KeysAsked
from crossfade.control.telling import LIST_ROWS_MAX
from crossfade.convergence.converge import Convergence
from crossfade.convergence.sides import Sides
from crossfade.errors import ConfigurationError, CrossfadeError, GateError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows, RowsQueries
from crossfade.ledger.transitions.keys import mark_dirty, waive_key
from crossfade.ledger.transitions.moves import Decision, audit
from crossfade.model.counted import counted
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.model.side import Side
from crossfade.seams.clock import Clock
from crossfade.stages.stages import MoveRequest, Stages


class KeyCases:
    """What an operator does to keys."""

    def __init__(
        self, ledger: Ledger, sides: Sides, convergence: Convergence, stages: Stages,
        outline: Outline, clock: Clock,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._sides = sides
        self._convergence = convergence
        self._stages = stages
        self._outline = outline
        self._clock = clock

    async def repair(self, asked: KeysAsked) -> Document:
        """Mark keys dirty and converge each once; what does not converge stays dirty.

        Crash under way: the keys are dirty and converge by themselves when a node runs.

        Raises:
            ConfigurationError: no such entity, or a key of another type.
            GateError: nothing is copied in this stage.

        """
        keys = self._named(asked)
        self._check_copies()
        if asked.dry_run:
            return self._told("repair", asked, keys, f"This would copy {_keys(keys)} again.")
        await self._mark(asked, keys, "repaired by name")
        return await self._converged("repair", asked, keys)

    async def retry(self, asked: KeysAsked) -> Document:
        """Give quarantined keys another chance. Raises as `repair`."""
        keys = self._quarantined(asked)
        self._check_copies()
        if asked.dry_run:
            return self._told("retry", asked, keys, f"This would try {_keys(keys)} again.")
        await self._mark(asked, keys, "quarantined keys retried")
        return await self._converged("retry", asked, keys)

    async def waive(self, asked: KeysAsked) -> Document:
        """Let the cut-over pass quarantined keys, by name.

        Raises:
            ConfigurationError: no such entity, or a key of another type.
            GateError: a key is not quarantined; none was waived.

        """
        keys = self._quarantined(asked)
        if asked.dry_run:
            summary = f"This would waive {_keys(keys)}. {self._left_behind()}"
            return self._told("waive", asked, keys, summary)
        decision = self._decision(asked)

        def transition(rows: Rows) -> None:
            for key in keys:
                if not waive_key(rows, asked.entity, key):
                    raise GateError(
                        f"a key of {asked.entity} is not quarantined, so none was waived. "
                        f"Run `crossfade quarantine list --entity {asked.entity}`."
                    )
            detail: dict[str, object] = {
                "entity": asked.entity, "keys": [list(key) for key in keys],
            }  # fmt: skip
            audit(rows, decision, "quarantined keys waived", detail)

        await self._ledger.transact(transition)
        summary = f"Waived: {_keys(keys)}; the cut-over passes. {self._left_behind()}"
        return self._told("waive", asked, keys, summary)

    async def release(self, asked: KeysAsked) -> Document:
        """Give up what only the dead side has of keys; the answering side speaks for them again.

        Raises:
            ConfigurationError: no such entity, or a key of another type.
            GateError: a key is not held, or the store refused; the keys before it are released.

        """
        keys = self._held(asked)
        if asked.dry_run:
            summary = f"This would give up what the lost side has of {_keys(keys)}."
            return self._told("release", asked, keys, summary)
        request = MoveRequest(asked.actor, asked.reason)
        for key in keys:
            await self._stages.release_held(asked.entity, key, request)
        summary = f"Released: {_keys(keys)}."
        if asked.every and await self._stages.release_entity(asked.entity, request):
            summary += f" All of {asked.entity} was held, and is free: copy and verify it anew."
        return self._told("release", asked, keys, summary)

    async def _mark(self, asked: KeysAsked, keys: Sequence[Key], action: str) -> None:
        decision = self._decision(asked)

        def transition(rows: Rows, some: Sequence[Key]) -> None:
            mark_dirty(rows, asked.entity, some, DirtyReason.REPAIR, decision.at)
            detail: dict[str, object] = {"entity": asked.entity, "keys": len(some)}
            audit(rows, decision, action, detail)

        for begin in range(0, len(keys), LIST_ROWS_MAX):
            some = keys[begin : begin + LIST_ROWS_MAX]
            await self._ledger.transact(partial(transition, some=some))

    async def _converged(self, name: str, asked: KeysAsked, keys: Sequence[Key]) -> Document:
        """Converge each key once, of many the first ones; the reconciler goes on with the rest."""
        open_keys = []
        tried = keys[:LIST_ROWS_MAX]
        for key in tried:
            try:
                end = await self._convergence.converge(asked.entity, key)
            except CrossfadeError as error:
                open_keys.append({"key": list(key), "reason": str(error)})
                continue
            state = self._ledger.look(partial(_state, entity=asked.entity, key=key))
            if state.dirty:
                reason = state.quarantine or end.value
                open_keys.append({"key": list(key), "reason": reason})
        agreed = len(tried) - len(open_keys)
        summary = f"Agree now: {agreed} of {_keys(keys)} of {asked.entity}."
        if len(keys) > len(tried):
            summary += f" The node goes on with the other {len(keys) - len(tried):,}."
        return self._told(name, asked, keys, summary, agreed=agreed, still_open=open_keys)

    def _named(self, asked: KeysAsked) -> tuple[Key, ...]:
        """The keys that were named, each of the entity's types; at least one."""
        stores = self._sides.entities.get(asked.entity)
        if stores is None:
            names = ", ".join(one.name for one in self._outline.entities)
            raise ConfigurationError(
                f'there is no entity "{asked.entity}". Entities are: {names}.'
            )
        keys = tuple(_typed(key, stores.key_types, asked.entity) for key in asked.keys)
        if not keys:
            raise ConfigurationError("no key was named. Name keys, such as 17, or give --all.")
        return keys

    def _quarantined(self, asked: KeysAsked) -> tuple[Key, ...]:
        if not asked.every:
            return self._named(asked)
        return self._ledger.look(lambda rows: _every_quarantined(rows, asked.entity))

    def _held(self, asked: KeysAsked) -> tuple[Key, ...]:
        if not asked.every:
            return self._named(asked)
        return self._ledger.look(lambda rows: _every_held(rows, asked.entity))

    def _check_copies(self) -> None:
        migration = self._ledger.migration
        if not migration.copies_allowed:
            raise GateError(
                f"nothing is copied now (the stage is {migration.stage}). "
                "Run `crossfade status` to see what comes first."
            )

    def _left_behind(self) -> str:
        """What waiving means, said where it is done."""
        authority = self._ledger.migration.authority
        mirror, move = authority.other, "cut-over" if authority is Side.LEGACY else "roll-back"
        return (
            f"The newest record stays on {authority} alone. After the {move} {mirror}'s word "
            f"counts: `crossfade repair` of such a key would copy what {mirror} has, or has not, "
            f"over {authority}'s record."
        )

    def _decision(self, asked: KeysAsked) -> Decision:
        return Decision(asked.actor, asked.reason, self._clock.now().timestamp())

    def _told(
        self,
        name: str,
        asked: KeysAsked,
        keys: Sequence[Key],
        summary: str,
        **content: object,
    ) -> Document:
        return document(
            name,
            migration=self._outline.migration,
            entity=asked.entity,
            keys=[list(key) for key in keys[:LIST_ROWS_MAX]],
            dry_run=asked.dry_run,
            summary=summary,
            **content,
        )


def _keys(keys: Sequence[Key]) -> str:
    return counted(len(keys), "key")


def _every_quarantined(rows: RowsQueries, entity: str) -> tuple[Key, ...]:
    counts = rows.counts(entity)
    found = rows.quarantined_keys(entity, counts.quarantined + counts.waived)
    return tuple(state.key for state in found)


def _every_held(rows: RowsQueries, entity: str) -> tuple[Key, ...]:
    found = rows.held_keys(entity, rows.counts(entity).held)
    return tuple(state.key for state in found)


def _state(rows: RowsQueries, entity: str, key: Key) -> KeyState:
    return rows.key(entity, key)


def _typed(key: Sequence[int | str], types: tuple[type, ...], entity: str) -> Key:
    """The key with parts of the entity's types; `17` typed for a number is one."""
    if len(key) != len(types):
        raise ConfigurationError(
            f"a key of {entity} has {len(types)} parts, not {len(key)}. "
            'Write several as a list: ["de",17].'
        )
    try:
        return tuple(
            int(part) if wanted is int else str(part)
            for part, wanted in zip(key, types, strict=True)
        )
    except ValueError as error:
        raise ConfigurationError(
            f"a key of {entity} is a whole number. Write it like 17."
        ) from error
