"""The databases of Chinook's two migrations: a copy of the file, two servers, and the judge's."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.chinook.judge import Judge
from tests.acceptance.chinook.project import ROOT, without_comments
from tests.servers import run_mariadb, run_postgres

DATA = ROOT.parent / "shared" / "data" / "chinook"
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the published files; they are never written to."""
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data/chinook")
    return DATA


@pytest.fixture
def legacy(data: Path, tmp_path: Path) -> str:
    """A copy of the SQLite file, as a service has it that reads while it writes."""
    file = tmp_path / "chinook.sqlite"
    shutil.copyfile(data / "chinook.sqlite", file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return f"sqlite:///{file}"


@pytest.fixture
def new(postgres_url: str) -> str:
    """The new service's tables in PostgreSQL, empty."""
    run_postgres(postgres_url, (HERE / "new_tables.sql").read_text())
    return postgres_url


@pytest.fixture
def last(mariadb_url: str) -> str:
    """The last service's tables in MariaDB, empty."""
    run_mariadb(mariadb_url, *without_comments((HERE / "last_tables.sql").read_text()))
    return mariadb_url


@pytest.fixture
def judge(data: Path, second_postgres_url: str) -> Judge:
    """The independently loaded script."""
    return Judge(second_postgres_url, data / "chinook_postgresql.sql")
