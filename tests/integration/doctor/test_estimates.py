"""How many rows there are: small tables are counted, of large ones the planner knows it."""

import pytest

from crossfade import SqlTable
from crossfade.store.sql import SqlDatabases, open_sql_store
from tests.integration.doctor.looking import Make

FILL = {
    "postgres": "INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, 60000) AS n",
    "mariadb": "INSERT INTO t SELECT seq, repeat('x', 300) FROM seq_1_to_60000",
}
ANALYSE = {"postgres": "ANALYZE t", "mariadb": "ANALYZE TABLE t"}


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
async def test_a_large_table_is_estimated(place: Make, engine: str) -> None:
    """Within a tenth after the statistics were made; exactly where nothing is known yet."""
    service = place(engine)
    service.run("CREATE TABLE t (id bigint PRIMARY KEY, filler varchar(400))")
    databases = SqlDatabases("shop")
    try:
        store = await open_sql_store(
            SqlTable(service.url, "t", key="id"), entity="t", database=databases.at(service.url)
        )
        service.run(FILL[engine], ANALYSE[engine])
        dialect = store.database.dialect
        estimate = await store.database.connections.read(
            lambda cursor: dialect.rows_estimate(cursor, "t")  # type: ignore[attr-defined] # it has it, its type does not
        )

        assert estimate is None or abs(estimate - 60_000) <= 6_000
        assert abs(await store.rows_estimate() - 60_000) <= 6_000
        service.run("DELETE FROM t WHERE id > 3", ANALYSE[engine])
        if engine == "postgres":
            service.run("VACUUM FULL t", ANALYSE[engine])
        assert await store.rows_estimate() == 3
    finally:
        await databases.close()
