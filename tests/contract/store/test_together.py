"""Several records in one transaction: values change hands, records point to one another."""

import pytest

from crossfade.model.key import Key, RecordName
from crossfade.store.base import Fence, PutStatus, Record, Store, Together
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import OWNERS, PETS, UNIQUE, Column, Kind, Layout

FENCE = Fence(5, 3)

pytestmark = pytest.mark.asks("constraints")

SERIALS = Layout(
    table="boxes",
    columns=(Column("id", Kind.WHOLE, nullable=False),),
    key=("id",),
    children={
        "parts": Layout(
            table="box_parts",
            columns=(
                Column("box", Kind.WHOLE, nullable=False),
                Column("line", Kind.WHOLE, nullable=False),
                Column("serial", Kind.WHOLE, nullable=False),
            ),
            key=("box", "line"),
            parent=("box",),
            unique=(("serial",),),
        )
    },
)

STAFF = Layout(
    table="staff",
    columns=(Column("id", Kind.WHOLE, nullable=False), Column("boss", Kind.WHOLE)),
    key=("id",),
    references={"boss": "staff"},
)

SEATS = Layout(
    table="seats",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("place", Kind.WHOLE, nullable=False),
    ),
    key=("id",),
    unique=(("place",),),
)


def _one(entity: str, key: Key, record: Record | None, token: int = 5, epoch: int = 3) -> Together:
    return Together(RecordName(entity, key), record, Fence(token, epoch))


async def _all(store: Store, *keys: int) -> list[Record | None]:
    return [await store.read((key,)) for key in keys]


@pytest.mark.parametrize(("layout", "column"), [(UNIQUE, "email"), (SEATS, "place")])
async def test_values_change_hands(backend: Backend, layout: Layout, column: str) -> None:
    """Around a circle of three; whether the column may be NULL or not."""
    store = await backend.open(layout)
    values: list[object] = list("abc") if column == "email" else [1, 2, 3]
    for number, value in enumerate(values):
        await store.put((number,), {column: value}, FENCE)

    result = await store.put_together(
        [
            _one(layout.table, (number,), {column: value})
            for number, value in enumerate(values[1:] + values[:1])
        ]
    )

    assert result.status is PutStatus.OK
    found = [row[column] for row in await _all(store, 0, 1, 2) if row]
    assert found == values[1:] + values[:1]


async def test_values_of_children_change_hands(backend: Backend) -> None:
    """Within one record, and between two."""
    store = await backend.open(SERIALS)
    await store.put((1,), {"parts": [{"line": 1, "serial": 1}, {"line": 2, "serial": 2}]}, FENCE)
    await store.put((2,), {"parts": [{"line": 1, "serial": 3}]}, FENCE)

    result = await store.put_together(
        [
            _one("boxes", (1,), {"parts": [{"line": 1, "serial": 2}, {"line": 2, "serial": 3}]}),
            _one("boxes", (2,), {"parts": [{"line": 7, "serial": 1}]}),
        ]
    )

    assert result.status is PutStatus.OK
    first, second = await _all(store, 1, 2)
    assert first is not None
    assert second is not None
    assert [part["serial"] for part in first["parts"]] == [2, 3]
    assert [(part["line"], part["serial"]) for part in second["parts"]] == [(7, 1)]


async def test_a_value_is_taken_from_a_record_that_goes(backend: Backend) -> None:
    """It is deleted in the same transaction."""
    store = await backend.open(SEATS)
    await store.put((1,), {"place": 1}, FENCE)
    await store.put((2,), {"place": 2}, FENCE)

    result = await store.put_together(
        [_one("seats", (1,), {"place": 2}), _one("seats", (2,), None)]
    )

    assert result.status is PutStatus.OK
    assert await _all(store, 1, 2) == [{"id": 1, "place": 2}, None]


async def test_two_that_want_one_value_are_told(backend: Backend) -> None:
    """The other one of the call itself is named, and nothing was changed."""
    store = await backend.open(SEATS)
    await store.put((1,), {"place": 1}, FENCE)

    result = await store.put_together(
        [_one("seats", (2,), {"place": 9}, 6), _one("seats", (1,), {"place": 9}, 6)]
    )

    assert result.status is PutStatus.UNIQUE
    assert result.of == "seats"
    assert result.other_key in {(1,), (2,)}
    assert await _all(store, 1, 2) == [{"id": 1, "place": 1}, None]
    assert (await store.put((1,), {"place": 4}, FENCE)).status is PutStatus.OK, "no token is kept"


async def test_whoever_has_the_value_is_named(backend: Backend) -> None:
    """A record that is not part of the call."""
    store = await backend.open(SEATS)
    for number in (1, 2, 3):
        await store.put((number,), {"place": number}, FENCE)

    result = await store.put_together(
        [_one("seats", (1,), {"place": 2}), _one("seats", (2,), {"place": 3})]
    )

    assert (result.status, result.other_key) == (PutStatus.UNIQUE, (3,))


async def test_parents_are_put_before_children(backend: Backend) -> None:
    """Whatever the order of the call is."""
    owners, pets = await backend.open(OWNERS), await backend.open(PETS)

    result = await pets.put_together(
        [_one("pets", (1,), {"owner_id": 7}), _one("owners", (7,), {})]
    )

    assert result.status is PutStatus.OK
    assert await owners.read((7,)) == {"id": 7}


async def test_children_go_before_parents(backend: Backend) -> None:
    """So do those that only stop to point there."""
    owners, pets = await backend.open(OWNERS), await backend.open(PETS)
    for key in (7, 8):
        await owners.put((key,), {}, FENCE)
    for key in (1, 2):
        await pets.put((key,), {"owner_id": 7}, FENCE)

    result = await owners.put_together(
        [
            _one("owners", (7,), None),
            _one("pets", (1,), None),
            _one("pets", (2,), {"owner_id": 8}),
        ]
    )

    assert result.status is PutStatus.OK
    assert await _all(pets, 1, 2) == [None, {"id": 2, "owner_id": 8}]


async def test_a_delete_names_who_points_there(backend: Backend) -> None:
    """Alone, and with some of them; nothing is changed."""
    owners, pets = await backend.open(OWNERS), await backend.open(PETS)
    await owners.put((7,), {}, FENCE)
    for key in (1, 2):
        await pets.put((key,), {"owner_id": 7}, FENCE)

    alone = await owners.put((7,), None, FENCE)
    together = await owners.put_together([_one("owners", (7,), None), _one("pets", (1,), None)])

    names = {RecordName("pets", (1,)), RecordName("pets", (2,))}
    assert (alone.status, set(alone.in_the_way)) == (PutStatus.FOREIGN_KEY, names)
    assert together.status is PutStatus.FOREIGN_KEY
    assert RecordName("pets", (2,)) in together.in_the_way
    assert await _all(pets, 1) == [{"id": 1, "owner_id": 7}]


async def test_a_put_names_what_it_points_to(backend: Backend) -> None:
    """Alone, and together with another record."""
    await backend.open(OWNERS)
    pets = await backend.open(PETS)

    alone = await pets.put((1,), {"owner_id": 7}, FENCE)
    together = await pets.put_together(
        [_one("pets", (1,), {"owner_id": 7}), _one("pets", (2,), {"owner_id": None})]
    )

    for result in (alone, together):
        assert result.status is PutStatus.FOREIGN_KEY
        assert result.missing == (RecordName("owners", (7,)),)


async def test_records_of_one_entity_may_point_in_a_circle(backend: Backend) -> None:
    """They come together and go together."""
    staff = await backend.open(STAFF)
    circle = [_one("staff", (key,), {"boss": key % 3 + 1}) for key in (1, 2, 3)]

    come = await staff.put_together(circle)
    seen = await _all(staff, 1, 2, 3)
    go = await staff.put_together([_one("staff", (key,), None) for key in (1, 2, 3)])

    assert (come.status, go.status) == (PutStatus.OK, PutStatus.OK)
    assert [row["boss"] for row in seen if row] == [2, 3, 1]
    assert await _all(staff, 1, 2, 3) == [None, None, None]


async def test_a_batch_may_hold_children_before_their_parents(backend: Backend) -> None:
    """Of one table: a chunk is read by key, and a boss may have a higher one."""
    staff = await backend.open(STAFF)
    batch: list[tuple[Key, Record]] = [
        ((key,), {"boss": key + 1 if key < 9 else None}) for key in range(1, 10)
    ]

    assert (await staff.put_many(batch, FENCE)).result.status is PutStatus.OK
    assert [row["boss"] for row in await _all(staff, 1, 8) if row] == [2, 9]


@pytest.mark.parametrize("fenced", [0, 1])
async def test_one_higher_token_refuses_all(backend: Backend, fenced: int) -> None:
    """No row is changed and no token kept, of none of them."""
    store = await backend.open(SEATS)
    for number in (1, 2):
        await store.put((number,), {"place": number}, Fence(20 if number == fenced + 1 else 5, 3))

    result = await store.put_together(
        [_one("seats", (1,), {"place": 2}, 10), _one("seats", (2,), {"place": 1}, 11)]
    )

    other = 2 - fenced
    assert result.status is PutStatus.FENCED
    assert await _all(store, 1, 2) == [{"id": 1, "place": 1}, {"id": 2, "place": 2}]
    assert (await store.put((other,), {"place": 7}, Fence(6, 3))).status is PutStatus.OK


async def test_every_token_is_kept(backend: Backend) -> None:
    """Each its own, of what goes as well."""
    store = await backend.open(SEATS)
    await store.put((1,), {"place": 1}, FENCE)
    await store.put_together(
        [_one("seats", (1,), None, 10), _one("seats", (2,), {"place": 1}, 12)]
    )

    late = [await store.put((key,), {"place": 5}, Fence(9 + key, 3)) for key in (1, 2)]
    same = await store.put((2,), {"place": 5}, Fence(12, 3))

    assert [one.status for one in late] == [PutStatus.OK, PutStatus.FENCED]
    assert same.status is PutStatus.UNIQUE


async def test_another_epoch_refuses_all(backend: Backend) -> None:
    """A flip is under way, or has been."""
    store = await backend.open(SEATS)

    result = await store.put_together([_one("seats", (1,), {"place": 1}, epoch=4)])

    assert result.status is PutStatus.FENCED_EPOCH
    assert await store.read((1,)) is None


async def test_what_the_table_refuses_refuses_all(backend: Backend) -> None:
    """The other record is not put either."""
    store = await backend.open(SEATS)

    result = await store.put_together(
        [_one("seats", (1,), {"place": 1}), _one("seats", (2,), {"place": object()})]
    )

    assert (result.status, result.of) == (PutStatus.REFUSED, "seats")
    assert await store.read((1,)) is None


async def test_deleting_together_what_cannot_exist_keeps_the_token(backend: Backend) -> None:
    """A key that no row can have."""
    store = await backend.open(SEATS)

    result = await store.put_together([_one("seats", ("text",), None), _one("seats", (1,), None)])

    assert result.status is PutStatus.OK


async def test_a_parked_record_is_there_and_points_nowhere(backend: Backend) -> None:
    """A place to point to, where a circle is too long for one transaction."""
    staff = await backend.open(STAFF)
    parked = Together(RecordName("staff", (1,)), {"boss": 2}, FENCE, parked=True)
    gone = Together(RecordName("staff", (5,)), None, FENCE, parked=True)

    result = await staff.put_together([parked, gone])

    assert result.status is PutStatus.OK
    assert await _all(staff, 1, 2) == [{"id": 1, "boss": None}, None]
    assert (await staff.put((2,), {"boss": 1}, FENCE)).status is PutStatus.OK
    assert (await staff.put((1,), {"boss": 2}, FENCE)).status is PutStatus.OK
