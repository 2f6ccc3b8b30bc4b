"""Two real services, two databases and a folder with a definition, for tests of the commands."""

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from crossfade.__main__ import main

SECONDS_MAX = 60

DEFINITION = """
from crossfade import HttpService, Migration, SqlTable, json

shop = Migration(
    "shop",
    legacy=HttpService("${env:LEGACY_URL}", answers_within="1s"),
    new=HttpService("${env:NEW_URL}", answers_within="1s"),
)

def to_new(row):
    name = None if row["FullName"] == "refused" else row["FullName"]
    return {
        "id": row["CustomerId"], "display_name": name, "email": row["Email"],
        "city": row["City"], "note": row["Note"], "credit_cents": round(row["Credit"] * 100),
    }

def to_legacy(row):
    return {
        "CustomerId": row["id"], "FullName": row["display_name"], "Email": row["email"],
        "City": row["city"], "Note": row["note"], "Credit": row["credit_cents"] / 100,
    }

customers = shop.entity(
    "customer",
    legacy=SqlTable("${env:LEGACY_DB}", "Customer", key="CustomerId"),
    new=SqlTable("${env:NEW_DB}", "customers", key="id"),
    to_new=to_new,
    to_legacy=to_legacy,
)
shop.resource("/customers", "/customers/{id}", customers, created=json("$.id"), replay=True)
"""
"""Customers of the demo's shop; one that is called `refused` cannot be copied."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What `--json` printed."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line about what went wrong."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line


class Shop:
    """One folder with a definition, over two databases; services may run, and a node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.legacy_db = folder / "legacy.db"
        self.new_db = folder / "new.db"
        self.environment = {
            "LEGACY_URL": "http://127.0.0.1:1",
            "NEW_URL": "http://127.0.0.1:1",
            "LEGACY_DB": f"sqlite:///{self.legacy_db}",
            "NEW_DB": f"sqlite:///{self.new_db}",
            "CROSSFADE_GATEWAY__PORT": "0",
            "CROSSFADE_CONTROL__PORT": "0",
            "NO_COLOR": "1",
        }
        for side, database in (("legacy", self.legacy_db), ("new", self.new_db)):
            schema = files("crossfade.demo").joinpath(f"{side}_schema.sql").read_text()
            self.sql(database, schema)
        self.define()

    def define(self, text: str = DEFINITION, *changes: tuple[str, str]) -> None:
        """Write the definition, parts of it replaced."""
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (self.folder / "migration.py").write_text(text)

    def sql(self, database: Path, script: str) -> None:
        """Change a database behind everybody's back."""
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.executescript(script)

    def add_customers(self, count: int, name: str = "Ada", first: int = 1) -> None:
        """Customers that legacy has had for long."""
        rows = [(n, name, f"{n}@example.com", "x", 19.99) for n in range(first, first + count)]
        with contextlib.closing(sqlite3.connect(self.legacy_db)) as connection:
            connection.executemany("INSERT INTO Customer VALUES (?, ?, ?, NULL, ?, ?)", rows)
            connection.commit()

    def run(self, *words: str) -> Ended:
        """Run a command in this process, as if typed in the folder."""
        out, err = io.StringIO(), io.StringIO()
        before = {name: os.environ.get(name) for name in self.environment}
        handler = signal.getsignal(signal.SIGTERM)
        os.environ.update(self.environment)
        try:
            with (
                contextlib.chdir(self.folder),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = main(words)
        finally:
            signal.signal(signal.SIGTERM, handler)
            for name, value in before.items():
                _set(name, value)
        return Ended(code, out.getvalue(), err.getvalue())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "crossfade", *words],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str], number: int | None = None) -> Ended:
        """Wait for a process, after a signal if one is given."""
        if number is not None:
            process.send_signal(number)
        try:
            out, err = process.communicate(timeout=SECONDS_MAX)
        finally:
            process.kill()
        return Ended(process.returncode, out, err)

    @contextlib.contextmanager
    def services(self) -> Iterator[None]:
        """Both services run."""
        with contextlib.ExitStack() as stack:
            for side in ("legacy", "new"):
                url = stack.enter_context(self._service(side))
                self.environment[f"{side.upper()}_URL"] = url
            yield

    @contextlib.contextmanager
    def up(self, *words: str) -> Iterator[dict[str, Any]]:
        """A node runs; yields what `up --json` told."""
        process = self.start("up", "--json", *words)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, self.finish(process).err
            yield json.loads(line)
        finally:
            ended = self.finish(process, signal.SIGTERM)
        assert ended.code == 143, ended.err

    @contextlib.contextmanager
    def _service(self, side: str) -> Iterator[str]:
        database = self.legacy_db if side == "legacy" else self.new_db
        process = subprocess.Popen(
            [sys.executable, "-m", f"crossfade.demo.{side}_service", "--database", str(database)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        finally:
            process.terminate()
            process.wait(SECONDS_MAX)
            if process.stdout is not None:
                process.stdout.close()


def wait_for(told: str, file: Path) -> None:
    """Wait until something appears in a file."""
    until = time.monotonic() + SECONDS_MAX
    while not (file.exists() and told in file.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
