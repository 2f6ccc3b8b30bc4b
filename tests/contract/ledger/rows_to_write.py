"""Rows in which every field has a value of its own, so that a column that is lost is noticed."""

from crossfade.ledger.rows import AuditEntry, Rows
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason, KeyState, Lease
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase, Hold, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

ORDER = "order"

KEYS: tuple[Key, ...] = (
    (17,),
    (-(2**63),),
    (10**30,),
    ("Zürich",),
    ("",),
    ('line\nbreak "quoted" \\ \x7f \U0001f9e1',),
    ("de", 5, "x"),
)
"""Keys of every shape that a store may have."""

FULL_KEY = KeyState(
    entity=ORDER,
    key=("de", 17),
    seq=12,
    clean_seq=3,
    open_intents=2,
    lease=Lease("node-a", 12),
    reason=DirtyReason.DIFFERENCE,
    dirty_since=1_700_000_000.123456,
    tries=4,
    quarantine="a parent is missing",
    waived=True,
    held_authority=Side.NEW,
    releasing=True,
)

FULL_ENTITY = EntityState(
    name=ORDER,
    generation=3,
    mapping_version="v2",
    coverage=(KeyRange(None, (5,)), KeyRange((7, "a"), (9, "b")), KeyRange(("z",), None)),
    unbound_creates=2,
    floor=44,
    covered_at=40,
    held_authority=Side.LEGACY,
)

FULL_MIGRATION = MigrationState(
    stage=Stage.LIVE,
    stage_since=1_700_000_000.5,
    decision=7,
    epoch=9,
    barrier_passed=True,
    untracked_served=True,
    flip=Flip(
        id=5,
        kind=FlipKind.FORCED,
        phase=FlipPhase.UNDOING,
        wanted=Stage.SHADOW,
        epoch=9,
        reason="new is down",
        actor="anna",
        node="node-7",
    ),
    holds=(Hold("freeze", "stock-taking"), Hold("hot", "busy", ORDER, ("de", 17))),
    retired=True,
    holds_keys=True,
    lost_side=Side.NEW,
    lost_epoch=8,
    confirmed_legacy=9,
    confirmed_new=8,
)

FULL_CHUNK = Chunk(
    token=21,
    entity=ORDER,
    range=KeyRange(("a", 1), ("b", 2)),
    generation=3,
    epoch=9,
    owner="node-b",
    open=True,
)

FULL_AUDIT = AuditEntry(
    at=1_700_000_001.5,
    actor="anna",
    action="stage moved",
    detail={"from": "off", "numbers": [1, 2**70, None], "nested": {"ü": True}},
)


def full_intent(rows: Rows) -> Intent:
    """An intent with two keys, in doubt; its id is the next number."""
    return Intent(
        id=rows.next_sequence(),
        entity=ORDER,
        keys=(("de", 17), ("de", 18)),
        unbound=True,
        epoch=9,
        authority=Side.NEW,
        node="node-a",
        operation="PUT /orders/{id}",
        doubt=Doubt.MIRROR,
    )


def write_key(rows: Rows, number: int, entity: str = ORDER, **fields: object) -> KeyState:
    """A dirty key with the next sequence number; `fields` override."""
    values: dict[str, object] = {"seq": rows.next_sequence(), **fields}
    state = KeyState(entity, (number,), **values)  # type: ignore[arg-type]
    rows.set_key(state)
    return state


def write_intent(
    rows: Rows, number: int = 0, *, doubt: Doubt = Doubt.NONE, unbound: bool = False
) -> Intent:
    """An open intent; its id is the next number unless one is given."""
    intent = Intent(
        id=number or rows.next_sequence(),
        entity=ORDER,
        keys=(),
        unbound=unbound,
        epoch=0,
        authority=Side.LEGACY,
        node="n",
        operation="o",
        doubt=doubt,
    )
    rows.set_intent(intent)
    return intent
