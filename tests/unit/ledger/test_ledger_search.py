"""The protocol holds in every order of steps, and each of its rules is needed for that.

A small search over the real transitions: one key, a few actors, every interleaving. Each mutant
takes one rule away; the search must then find the order of steps in which something breaks.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions import flips, intents, keys, moves
from crossfade.model import key_state
from crossfade.model.entity_state import EntityState
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState, Lease
from tests.unit.ledger.protocol_actors import steps
from tests.unit.ledger.protocol_world import Scenario, World, canonical, problem, start

STATES_MAX = 60_000
"""A scenario that has more is not searched to its end: make it smaller."""

UNTOUCHED = Scenario(covered=False, values=(0, None), chunk_runs=2)
FROM_OFF = replace(UNTOUCHED, leases=(1,), chunk_runs=1, off_write=True)

SCENARIOS = {
    "two writers, two convergers": Scenario(writers=(1, None), leases=(1, 1)),
    "one writer, two convergers that take over": Scenario(leases=(2, 2)),
    "a replay that may store a wrong value": Scenario(leases=(2, 2), replays=True),
    "a node that dies with its call under way": Scenario(leases=(2, 1), crashes=True),
    "a chunk, a delete and a converger": replace(UNTOUCHED, writers=(None,)),
    "a flip that may be undone": Scenario(leases=(1, 1), flips=True),
    "a flip while a node dies": Scenario(leases=(1, 1), flips=True, crashes=True),
    "a flip and chunks": replace(UNTOUCHED, leases=(1,), flips=True, chunk_runs=1),
    "from off by the barrier to the copy": FROM_OFF,
    "the same, stores that do not know epochs": replace(FROM_OFF, checks_epochs=False),
    "from off to the flip": replace(FROM_OFF, flips=True),
    "a key that others lease with theirs": Scenario(leases=(2, 1), joins=True),
    "the same, and chunks": replace(UNTOUCHED, leases=(1,), joins=True, chunk_runs=1),
    "the same, and a flip": Scenario(leases=(1, 1), flips=True, joins=True),
    "the same, and a node that dies": Scenario(leases=(1, 1), crashes=True, joins=True),
    "off is entered again": replace(FROM_OFF, reenters_off=True, writers=(), chunk_runs=2),
}


def search(scenario: Scenario) -> tuple[str, list[str], int]:
    """What breaks first and by which steps, or nothing; and how many states were seen."""
    first = start(scenario)
    came_from: dict[object, tuple[object, str] | None] = {canonical(first): None}
    frontier = [(first, canonical(first))]
    while frontier:
        following: list[tuple[World, object]] = []
        for before, here in frontier:
            for label, after in steps(before):
                there = canonical(after)
                if there in came_from:
                    continue
                came_from[there] = (here, label)
                broken = problem(before, after)
                if broken:
                    return broken, _way_to(there, came_from), len(came_from)
                following.append((after, there))
        assert len(came_from) <= STATES_MAX, "make the scenario smaller"
        frontier = following
    return "", [], len(came_from)


def _way_to(state: object, came_from: dict[object, tuple[object, str] | None]) -> list[str]:
    way = []
    while (step := came_from[state]) is not None:
        state, label = step
        way.append(label)
    return way[::-1]


@functools.cache
def search_unchanged(scenario: Scenario) -> tuple[str, list[str], int]:
    """The search with every rule in its place, once for each scenario."""
    return search(scenario)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_breaks_in_any_order(name: str) -> None:
    """No silent divergence, no lost write at a flip, no clobber, in every reachable state."""
    broken, way, states = search_unchanged(SCENARIOS[name])

    assert broken == "", " | ".join(way)
    assert states > 100


def _clears_on_close(state: KeyState, seq: int, at: float) -> KeyState:
    return structs.replace(_CLOSED(state, seq, at), clean_seq=seq)


def _close_takes_no_number(state: KeyState, seq: int, at: float) -> KeyState:
    return structs.replace(_CLOSED(state, seq, at), seq=state.seq, dirty_since=at)


def _ignores_sequence(
    state: KeyState, lease: Lease, *, chunk_since: bool
) -> tuple[KeyState, bool]:
    as_if_unchanged = structs.replace(state, seq=lease.token)
    after, cleared = _RELEASED(as_if_unchanged, lease, chunk_since=chunk_since)
    return (structs.replace(state, lease=None, clean_seq=state.seq), True) if cleared else (
        structs.replace(after, seq=state.seq), False,
    )  # fmt: skip


def _ignores_intents(state: KeyState, lease: Lease, *, chunk_since: bool) -> tuple[KeyState, bool]:
    as_if_closed = structs.replace(state, open_intents=0)
    after, cleared = _RELEASED(as_if_closed, lease, chunk_since=chunk_since)
    return structs.replace(after, open_intents=state.open_intents), cleared


def _ignores_owner(state: KeyState, lease: Lease, *, chunk_since: bool) -> tuple[KeyState, bool]:
    if state.open_intents or chunk_since:
        return state, lease is None
    return structs.replace(state, lease=None, clean_seq=state.seq), True


def _lease_without_number(
    rows: Rows, entity: str, key: Key, owner: str, at: float
) -> keys.LeaseGrant | None:
    grant = _TAKE_LEASE(rows, entity, key, owner, at)
    if grant is None:
        return None
    state = rows.key(entity, key)
    shared = Lease(owner, state.clean_seq + 1)
    rows.set_key(structs.replace(state, lease=shared, seq=shared.token))
    return replace(grant, lease=shared)


def _keeps_coverage(rows: Rows, entity: EntityState) -> EntityState:
    assert rows.entity(entity.name) == entity
    return entity


_CLOSED = key_state.closed
_RELEASED = key_state.released
_TAKE_LEASE = keys.take_lease

TWO_WRITERS = Scenario(writers=(1, None), leases=(1, 1))

RULES: dict[str, tuple[Scenario, Any, str, Callable[..., Any]]] = {
    "rule 2: the writer clears on close": (
        Scenario(), intents, "closed", _clears_on_close),
    "rule 3: a close takes no number": (
        Scenario(), intents, "closed", _close_takes_no_number),
    "rule 3: a lease takes no number": (
        TWO_WRITERS, keys, "take_lease", _lease_without_number),
    "rule 4: release looks at no sequence": (
        TWO_WRITERS, keys, "released", _ignores_sequence),
    "rule 4: release looks at no open intent": (
        Scenario(), keys, "released", _ignores_intents),
    "rule 4: release looks at no lease": (
        TWO_WRITERS, keys, "released", _ignores_owner),
    "case 51: release looks at no chunk": (
        SCENARIOS["the same, stores that do not know epochs"], keys, "opened_since",
        lambda *_: False),
    "rule 9: off keeps the coverage": (
        replace(FROM_OFF, reenters_off=True, writers=()), moves, "void_coverage",
        _keeps_coverage),
    "rule 10: the flip waits for nothing": (
        Scenario(flips=True), flips, "flip_obstacles", lambda *_: ()),
}  # fmt: skip
"""Name -> where it shows, and what takes the place of the rule."""

PROTECTIONS = {
    "rule 6: the fence goes with the record": (
        Scenario(writers=(None,), leases=(1, 1), keeps_fence_on_delete=False)),
    "rule 6: an equal record is not put": (
        Scenario(writers=(1, 0), leases=(1, 1), puts_when_equal=False)),
    "rule 7: the resolver does not wait": (
        Scenario(leases=(2,), crashes=True, resolves_early=True)),
    "rule 9: the barrier does not wait": (
        replace(FROM_OFF, writers=(), waits_for_off_writes=False)),
}  # fmt: skip
"""Name -> a scenario whose stores or workers leave the rule out."""


@pytest.mark.parametrize("name", RULES)
def test_a_transition_without_its_rule_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search finds the order of steps in which the missing rule loses a write."""
    scenario, module, attribute, mutant = RULES[name]
    assert search_unchanged(scenario)[0] == ""

    monkeypatch.setattr(module, attribute, mutant)

    assert search(scenario)[0] != ""


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_store_or_worker_without_its_rule_breaks(name: str) -> None:
    """The same for rules that stores and workers keep."""
    assert search(PROTECTIONS[name])[0] != ""
