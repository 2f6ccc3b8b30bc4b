"""Whether digests can tell that two sides have the same rows, decided from mapping and columns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.convergence.key_scan import in_order
from crossfade.convergence.sides import EntityStores
from crossfade.model.column_mapping import renamed_columns
from crossfade.model.entity import Entity
from crossfade.model.entity import Mapping as RecordMapping
from crossfade.model.mapping_identity import mapping_identity
from crossfade.model.side import Side
from crossfade.store.digests import (
    PORTABLE,
    Forms,
    RowDigest,
    digests_of,
    pairs_of,
)


@dataclass(frozen=True, slots=True)
class CommonDigest:
    """One digest that both sides compute of rows that are equal."""

    authority: RowDigest
    mirror: RowDigest


def why_no_digests(stores: EntityStores) -> str | None:
    """Why no digest of any kind compares the two sides, or None."""
    if not in_order(stores.legacy, stores.new):
        return "the two sides order its keys differently"
    for side in Side:
        if digests_of(stores.side(side)) is None:
            return f"{side} keeps it in several tables, or in a store that computes no digests"
    return None


def common_digest(stores: EntityStores, authority: Side, seed: int) -> CommonDigest | None:
    """The digest that both sides compute alike; None where values may change between them.

    Args:
        stores: the entity.
        authority: the side that is mapped.
        seed: another one gives other digests: chance that hides a difference does so only once.

    """
    ours = digests_of(stores.side(authority))
    theirs = digests_of(stores.side(authority.other))
    if ours is None or theirs is None:
        return None
    mapping = _mapping(stores.entity, authority.other)
    forms, other_forms = ours.forms(), theirs.forms()
    renamed = renamed_columns(mapping, forms)
    if renamed is None or not other_forms.keys() >= set(renamed.values()):
        return None
    if [renamed.get(name) for name in ours.key] != list(theirs.key):
        # A sum could not tell which key has which values.
        return None
    for function in _functions(forms, other_forms):
        pairs = [
            (forms[name][function], other_forms[new][function]) for name, new in renamed.items()
        ]
        common = _common_forms(pairs)
        if common is not None:
            return CommonDigest(
                RowDigest(function, tuple(renamed), common, seed),
                RowDigest(function, tuple(renamed.values()), common, seed),
            )
    return None


def copy_digest(stores: EntityStores, towards: Side, generation: int) -> RowDigest | None:
    """The digest of the authority's rows that a copy should keep beside the fence.

    It depends on the generation, the mapping's version and its code, so that what was kept for
    another mapping vouches for nothing. None: nobody would ask for it, or it cannot be computed.
    """
    if why_no_digests(stores) is not None or common_digest(stores, towards.other, 0) is not None:
        return None
    authority = digests_of(stores.side(towards.other))
    if authority is None or pairs_of(stores.side(towards)) is None:
        return None
    return authority.of_columns(
        tuple(authority.forms()), _binding(stores.entity, towards, generation)
    )


def _binding(entity: Entity, towards: Side, generation: int) -> str:
    identity = mapping_identity(_mapping(entity, towards))
    return json.dumps([generation, entity.version, str(towards), identity])


def _mapping(entity: Entity, towards: Side) -> RecordMapping:
    return entity.to_new if towards is Side.NEW else entity.to_legacy


def _functions(ours: Mapping[str, Forms], theirs: Mapping[str, Forms]) -> Sequence[str]:
    """Those that both have, the faster first."""
    own = {next(iter(forms)) for forms in (*ours.values(), *theirs.values())}
    return [*own, PORTABLE] if len(own) == 1 else [PORTABLE]


def _common_forms(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
) -> tuple[str, ...] | None:
    found = []
    for ours, theirs in pairs:
        both = [form for form in ours if form in theirs]
        if not both:
            return None
        found.append(both[0])
    return tuple(found)
