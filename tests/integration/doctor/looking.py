"""A definition over real databases, and what `doctor` finds about it."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg

from crossfade import Migration
from crossfade.config import load_config
from crossfade.control.doctor.examine import examine
from tests.servers import run_mariadb, run_postgres

Document = dict[str, Any]

ENGINES = ("sqlite", "postgres", "mariadb")


@dataclass(frozen=True, slots=True)
class Place:
    """One empty database of a test."""

    engine: str
    url: str

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        if self.engine == "postgres":
            run_postgres(self.url, *statements)
        elif self.engine == "mariadb":
            run_mariadb(self.url, *statements)
        else:
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as one:
                for statement in statements:
                    one.execute(statement)
                one.commit()

    def run_script(self, lines: list[str]) -> None:
        """Run what `doctor` printed, its notes left out, statement by statement."""
        text = "\n".join(line for line in lines if not line.startswith("--"))
        self.run(*(one for one in text.split(";\n") if one.strip()))


async def found(
    definition: Migration, folder: Path, *, apply: bool = True, records_max: int = 50
) -> Document:
    """What doctor says."""
    return await examine(
        definition,
        load_config(folder),
        apply=apply,
        records_max=records_max,
        progress=lambda _: None,
    )


def told(document: Document, *verdicts: str) -> list[str]:
    """The findings of some verdicts, in one line each; our tables left out."""
    wanted = verdicts or ("warning", "problem")
    return [
        f"{one['what']}: {one['message']}"
        for one in document["findings"]
        if one["verdict"] in wanted and not one["what"].startswith(("tables in", "ledger"))
    ]


def one_with(findings: list[str], words: str) -> str:
    """The one finding that says so."""
    fitting = [one for one in findings if words in one]
    assert len(fitting) == 1, findings
    return fitting[0]


@contextlib.contextmanager
def role_of(place: Place, password: str = "") -> Iterator[tuple[str, str]]:
    """A role without any rights: its name, as grants want it, and its URL."""
    name = f"crossfade_{place.url[-12:]}"
    parts = urlsplit(place.url)
    secret = f":{quote(password)}" if password else ""
    url = f"{parts.scheme}://{name}{secret}@{parts.hostname}:{parts.port}{parts.path}"
    if place.engine == "postgres":
        made = f"CREATE ROLE {name} LOGIN" + (f" PASSWORD '{password}'" if password else "")
        run_postgres(place.url, made)
    else:
        run_mariadb(place.url, f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'")
    try:
        yield (name, url)
    finally:
        if place.engine == "postgres":
            run_postgres(place.url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
        else:
            run_mariadb(place.url, f"DROP USER {name}@'%'")


def postgres_rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What a query of a test gives."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


Make = Callable[[str], Place]
