"""Pages: how many rows fit, how records are mapped together, what a worker is equipped with."""

from pathlib import Path
from typing import Any

import pytest

from crossfade.backfill.equipment import equip
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.page_size import FIRST_PAGE_ROWS, PageSize, bytes_of_a_row
from crossfade.errors import ConfigurationError
from crossfade.model.batch_mapping import in_batches
from crossfade.model.entity import Entity
from crossfade.model.mapping_identity import mapping_identity
from crossfade.model.side import Side
from tests.unit.backfill.workers import is_covered, make_workers, make_world, sweep_of

Record = dict[str, Any]


def test_large_rows_make_small_pages() -> None:
    """At once when they are met, and more again only slowly."""
    size = PageSize(1_000_000)
    assert size.rows(10_000) == FIRST_PAGE_ROWS

    size.note(100)
    assert size.rows(10_000) == 10_000
    size.note(500_000)
    assert size.rows(10_000) == 2
    size.note(100)
    assert size.rows(10_000) < 10
    size.note(5_000_000)
    assert size.rows(10_000) == 1


def test_a_sample_of_rows_is_weighed() -> None:
    """Text, bytes and what is inside lists count."""
    small: list[tuple[tuple[int, ...], Record]] = [((1,), {"a": 1, "b": "x"})] * 1000
    large = [((1,), {"a": [{"b": "x" * 1000}], "c": b"y" * 1000})]

    assert bytes_of_a_row([]) == 0
    assert bytes_of_a_row(small) < 200
    assert bytes_of_a_row(large) > 2000


def _entity(to_new: Any) -> Entity:  # noqa: ANN401 - any mapping, also wrong ones
    return Entity("thing", None, None, to_new=to_new, to_legacy=dict)


def test_records_are_mapped_in_batches_where_the_mapping_says_so() -> None:
    """Once for all of them; a single one is a batch of one."""
    seen: list[int] = []

    def many(records: list[Record]) -> list[Record]:
        """The mapping."""
        seen.append(len(records))
        return [{"n": record["n"] + 1} for record in records]

    entity = _entity(in_batches(many))

    assert entity.map_together([{"n": 1}, {"n": 2}], Side.NEW) == [{"n": 2}, {"n": 3}]
    assert entity.map_record({"n": 5}, Side.NEW) == {"n": 6}
    assert seen == [2, 1]
    assert mapping_identity(in_batches(many)) == mapping_identity(many)


@pytest.mark.parametrize(
    "many",
    [
        lambda records: records[:-1],
        lambda records: [None for _ in records],
        lambda _: None,
        lambda records: [record["missing"] for record in records],
    ],
)
def test_a_batch_that_goes_wrong_is_mapped_one_by_one(many: Any) -> None:  # noqa: ANN401 - wrong ones
    """So the bad rows are found; a wrong number of records is nobody's record."""
    entity = _entity(in_batches(many))

    assert entity.map_together([{"n": 1}, {"n": 2}], Side.NEW) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (BackfillOptions(processes=2), "loaded from a file"),
        (BackfillOptions(lag_query="SELECT 1"), "lag_database"),
        (BackfillOptions(load_database="sqlite:///x.db"), "load_query"),
    ],
)
async def test_settings_that_do_not_fit_together_are_told(
    options: BackfillOptions, expected: str, tmp_path: Path
) -> None:
    """Before anything is begun."""
    workers = make_workers(await make_world(), backfill=options)

    with pytest.raises(ConfigurationError, match=expected):
        equip(workers.backfill, workers.node.seams, tmp_path, str, None)


async def test_a_flag_file_pauses_the_sweep(tmp_path: Path) -> None:
    """No chunk is begun while it is there, and people see why."""
    world = await make_world(range(1, 21))
    options = BackfillOptions(chunk_rows=4, throttle_file="pause", throttle_poll_seconds=2.0)
    workers = make_workers(world, backfill=options)
    equip(workers.backfill, workers.node.seams, tmp_path, str, None)
    (tmp_path / "pause").touch()
    await workers.start_sweep()

    while await workers.backfill.step():
        pass
    reason = workers.backfill.progress()[0].waits_for
    assert reason == f"the flag file {tmp_path / 'pause'} is there"
    (tmp_path / "pause").unlink()
    await world.clock.advance(2.0)
    await workers.sweep()

    assert sweep_of(world).rows == 20


@pytest.mark.parametrize("chunks_at_once", [2, 5])
async def test_chunks_are_copied_together(chunks_at_once: int) -> None:
    """Several under way, none left out, none twice."""
    world = await make_world(range(1, 51))
    options = BackfillOptions(chunk_rows=4, chunks_at_once=chunks_at_once)
    workers = make_workers(world, backfill=options)

    await workers.sweep()

    assert sweep_of(world).rows == 50
    assert is_covered(world)
    assert world.values(Side.LEGACY) == world.values(Side.NEW)
