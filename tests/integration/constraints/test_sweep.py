"""A sweep copies parents first, and whatever order the rows are in, all of them arrive."""

from functools import partial
from pathlib import Path

import pytest

from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.worker import BackfillWorker
from crossfade.convergence.sides import graph_of
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.model.side import Side
from crossfade.observability.events import KeyConverged, SweepFinished
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from tests.integration.constraints.company import ENTITIES, Company, open_company, run_on

PEOPLE = 60


def _staff(*, upwards: bool) -> list[str]:
    """People whose boss has the next key, or the one before; teams and their leaders; notes."""
    bosses = {key: key + 1 if upwards else key - 1 for key in range(1, PEOPLE + 1)}
    bosses[PEOPLE if upwards else 1] = PEOPLE // 2
    people = [
        f"INSERT INTO person VALUES ({key}, 'e{key}', NULL, {key}, {boss}, {key % 3 + 1})"  # noqa: S608 - made up here
        for key, boss in bosses.items()
    ]
    teams = [f"INSERT INTO team VALUES ({key}, 't{key}', {key * 7})" for key in (1, 2, 3)]  # noqa: S608 - made up here
    notes = [f"INSERT INTO note VALUES ({key}, {key}, 'n')" for key in range(1, PEOPLE + 1)]  # noqa: S608 - made up here
    jobs = [
        "INSERT INTO job VALUES (1, 'x')",
        "INSERT INTO step VALUES (1, 1, 'p', 5), (1, 2, 'q', NULL)",
    ]
    return [*notes, *people, *teams, *jobs]


def _backfill(company: Company, chunk_rows: int) -> BackfillWorker:
    seams = Seams(company.clock, SeededRandomness(1), TaskOwner(), unarmed)
    options = BackfillOptions(chunk_rows=chunk_rows)
    hooks = Hooks(company.events.append)
    return BackfillWorker(company.ledger, company.sides, hooks, seams, "node-1", options)


async def _sweep(company: Company, chunk_rows: int) -> None:
    backfill = _backfill(company, chunk_rows)
    for name in ENTITIES:
        company.ledger.apply(partial(start_sweep, entity=name, at=1.0))
    while await company.finish(backfill.step()):
        pass


@pytest.mark.parametrize("upwards", [True, False])
async def test_every_row_arrives(company: Company, *, upwards: bool) -> None:
    """Bosses with higher keys, entities that point to each other, rows in other chunks."""
    company.write(*_staff(upwards=upwards))

    await _sweep(company, chunk_rows=7)
    await company.settle()

    await company.assert_agreed()
    finished = [event.entity for event in company.events if isinstance(event, SweepFinished)]
    assert finished.index("person") < finished.index("note")
    assert finished.index("person") < finished.index("job")


async def test_a_chunk_that_holds_all_of_them_needs_little_else(company: Company) -> None:
    """Rows of one table are put in an order in which no boss is missing."""
    statements = _staff(upwards=True)
    company.write(*statements, f"UPDATE person SET boss = NULL WHERE id = {PEOPLE}",  # noqa: S608 - made up here
                  "UPDATE team SET leader = NULL")  # fmt: skip

    await _sweep(company, chunk_rows=1000)
    converged = [event for event in company.events if isinstance(event, KeyConverged)]
    await company.settle()

    assert converged == []
    assert len(await company.rows("person", Side.NEW)) == PEOPLE
    await company.assert_agreed()


async def test_the_graph_is_that_of_the_catalogue(company: Company) -> None:
    """Legacy's and new's have the same foreign keys; aggregates' children count as theirs."""
    for side in Side:
        graph = graph_of(company.sides, side)
        assert graph.cycles == (("person", "team"),)
        assert graph.self_referring == frozenset({"person"})
        assert graph.parents["job"] == {"person"}
        assert graph.order.index("person") < graph.order.index("note")


async def test_a_circle_of_columns_that_cannot_be_null(new_url: str, tmp_path: Path) -> None:
    """Where the engine checks at the end it is copied; where it cannot, it is told why."""
    deferred = " DEFERRABLE INITIALLY IMMEDIATE" if new_url.startswith("postgresql") else ""
    if new_url.startswith(("postgresql", "mariadb")):
        run_on(new_url, *(
            f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            for table, name in (("person", "person_team"), ("team", "team_leader"))
        ))  # fmt: skip
        run_on(
            new_url,
            "ALTER TABLE team ADD CONSTRAINT team_leader FOREIGN KEY (leader) "
            f"REFERENCES person (id){deferred}",
            "ALTER TABLE person ADD CONSTRAINT person_team FOREIGN KEY (team) "
            f"REFERENCES team (id){deferred}",
        )
        for table, column in (("team", "leader"), ("person", "team")):
            change = f"MODIFY {column} INTEGER NOT NULL"
            if deferred:
                change = f"ALTER COLUMN {column} SET NOT NULL"
            run_on(new_url, f"ALTER TABLE {table} {change}")
    company = await open_company(tmp_path, new_url)
    company.write(
        "INSERT INTO team VALUES (5, 'core', 1)",
        "INSERT INTO person VALUES (1, 'ada', 'a', 10, NULL, 5)",
    )
    await company.note_changes()

    await company.settle()

    if new_url.startswith("mariadb"):
        for entity, key, other in (("team", 5, "person [1]"), ("person", 1, "team [5]")):
            reason = company.state(entity, key).quarantine or ""
            assert f"it waits for {other}, which points back to it" in reason
    else:
        await company.assert_agreed()
    await company.databases.close()
