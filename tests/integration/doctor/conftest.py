"""Databases of every engine for tests of `doctor`."""

from pathlib import Path

import pytest

from tests.integration.doctor.looking import Make, Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make an empty database of an engine; one of each, or two of PostgreSQL."""
    made: list[str] = []

    def make(engine: str) -> Place:
        again = engine in made
        made.append(engine)
        if engine == "sqlite":
            file = tmp_path / f"service{len(made)}.db"
            file.touch()
            return Place(engine, f"sqlite:///{file}")
        if engine == "postgres":
            name = "second_postgres_url" if again else "postgres_url"
            return Place(engine, request.getfixturevalue(name))
        assert not again
        return Place(engine, request.getfixturevalue("mariadb_url"))

    return make
