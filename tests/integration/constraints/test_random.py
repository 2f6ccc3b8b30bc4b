"""Whatever a company does, both sides agree once it is quiet; nothing is quarantined."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crossfade.model.key import Key
from crossfade.store.base import Record
from tests.integration.constraints.company import Company, make_tables, open_company
from tests.random_company import RandomCompany, changed_keys

STEPS = 40


@pytest.mark.parametrize("seed", range(4))
async def test_a_company_at_work_converges(company: Company, seed: int) -> None:
    """Transactions, attempts one by one and several at once, in any order; then quiet."""
    await _work(company, seed)


@pytest.mark.parametrize("seed", range(4, 12))
async def test_a_company_on_sqlite_converges(tmp_path: Path, seed: int) -> None:
    """More of the same, on the fastest of the engines."""
    url = str(tmp_path / "new.db")
    make_tables(url)
    company = await open_company(tmp_path, url, seed)

    await _work(company, seed)

    await company.databases.close()


async def _work(company: Company, seed: int) -> None:
    dice = random.Random(seed)
    work = RandomCompany(dice)
    for _ in range(STEPS):
        if dice.random() < 0.4:
            _commit(company, work)
        else:
            await _attempt(company, dice)

    await company.settle()
    await company.assert_agreed()


def _commit(company: Company, work: RandomCompany) -> None:
    """One transaction of legacy, between the two marks that an intent makes."""
    after = work.transaction()
    changed = changed_keys(work.rows, after)
    for entity, key in changed:
        company.mark(entity, int(key[0]))
    with closing(sqlite3.connect(company.legacy, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for entity, key in changed:
            _delete(connection, entity, key)
        for entity, key in changed:
            record = after[entity].get(key)
            if record is not None:
                _insert(connection, entity, record)
        connection.execute("COMMIT")
    work.rows = after
    for entity, key in changed:
        company.mark(entity, int(key[0]))


def _delete(connection: sqlite3.Connection, entity: str, key: Key) -> None:
    # Foreign keys are off in this connection: nothing cascades.
    connection.execute(f"DELETE FROM {entity} WHERE id = ?", key)  # noqa: S608 - a test's own name
    if entity == "job":
        connection.execute("DELETE FROM step WHERE job = ?", key)


def _insert(connection: sqlite3.Connection, entity: str, record: Record) -> None:
    row = {name: value for name, value in record.items() if name != "steps"}
    marks = ", ".join(f":{name}" for name in row)
    names = ", ".join(row)
    sql = f"INSERT INTO {entity} ({names}) VALUES ({marks})"  # noqa: S608 - a test's own names
    connection.execute(sql, row)
    for step in record.get("steps", ()):
        _insert(connection, "step", step)


async def _attempt(company: Company, dice: random.Random) -> None:
    """Try some dirty keys, at once."""
    dirty = company.ledger.look(lambda rows: rows.dirty_keys(None, 100, ready=True))
    if not dirty:
        return
    chosen = dice.sample(list(dirty), min(len(dirty), dice.randint(1, 4)))
    attempts = [company.convergence.converge(one.entity, one.key) for one in chosen]
    await company.finish(asyncio.gather(*attempts))
