"""A program with two SQLite databases and functions on both, crossfade running inside it."""

import contextlib
import io
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crossfade
from crossfade.__main__ import main
from crossfade.assembly import Node
from crossfade.control.outline import outline_of
from crossfade.control.requests import BackfillAsked, CanaryAsked, FreezeAsked, MoveAsked
from crossfade.control.service import Service
from crossfade.ledger.rows import Counts
from crossfade.library.running import Running
from crossfade.model.coverage import is_complete
from crossfade.model.stage import Stage

SECONDS_MAX = 20.0
WALK = {
    Stage.OFF: (),
    Stage.READ_ONLY: (Stage.READ_ONLY,),
    Stage.SHADOW: (Stage.SHADOW,),
    Stage.LIVE: (Stage.SHADOW, Stage.LIVE),
    Stage.COMPLETED: (Stage.SHADOW, Stage.LIVE, Stage.COMPLETED),
}
QUIET = {
    "log_level": "error",
    "gates": {"compared_min": 0, "soak_seconds_min": 0, "mismatch_ratio_max": 1.0},
    "comparison": {"confirm_pause_seconds": 0.01, "flush_seconds": 0.05},
}
"""Gates that ask for no traffic, and comparisons that end soon."""

LEGACY_TABLE = "CREATE TABLE profile (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL)"
NEW_TABLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"


class ProfileShop:
    """The two databases, plain functions on them, and the migration between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.legacy_db = folder / "legacy.db"
        self.new_db = folder / "new.db"
        for file, table in ((self.legacy_db, LEGACY_TABLE), (self.new_db, NEW_TABLE)):
            with contextlib.closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(table)
        self.migration = crossfade.Migration("shop", answers_within="300ms")
        self.profiles = self.migration.entity(
            "profile",
            legacy=crossfade.SqlTable(f"sqlite:///{self.legacy_db}", "profile", key="id"),
            new=crossfade.SqlTable(f"sqlite:///{self.new_db}", "people", key="id"),
            to_new=lambda row: {"id": row["id"], "name": row["full_name"]},
            to_legacy=lambda row: {"id": row["id"], "full_name": row["name"]},
        )
        self.doctor()

    def doctor(self) -> None:
        """Make our two tables in both databases."""
        definition = self.folder / "migration.py"
        definition.write_text(DEFINITION.format(legacy=self.legacy_db, new=self.new_db))
        code, out = self.command("doctor", "--apply")
        assert code == 0, out

    def command(self, *words: str) -> tuple[int, str]:
        """Run a command as if typed in the folder; its exit code and output."""
        out = io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            _signals_kept(),
        ):
            code = main(words)
        return code, out.getvalue()

    def running(self, *, control_api: bool = False, **settings: Any) -> Running:  # noqa: ANN401 - any kind of value
        """Crossfade for this program, not started; settings are sections."""
        merged = {**QUIET}
        for section, values in settings.items():
            known = merged.get(section)
            merged[section] = {**known, **values} if isinstance(known, dict) else values
        return crossfade.running(
            self.migration, folder=self.folder, settings=merged, control=control_api
        )

    # What a function of either side does.

    def legacy_get(self, user_id: int) -> str | None:
        """A profile's name, as legacy has it."""
        return _name(self.legacy_db, "SELECT full_name FROM profile WHERE id = ?", user_id)

    def new_get(self, user_id: int) -> str | None:
        """A profile's name, as new has it."""
        return _name(self.new_db, "SELECT name FROM people WHERE id = ?", user_id)

    def legacy_put(self, user_id: int, name: str) -> None:
        """Write a profile into legacy."""
        _change(self.legacy_db, "INSERT OR REPLACE INTO profile VALUES (?, ?)", user_id, name)

    def new_put(self, user_id: int, name: str) -> None:
        """Write a profile into new."""
        _change(self.new_db, "INSERT OR REPLACE INTO people VALUES (?, ?)", user_id, name)

    def both(self, user_id: int) -> tuple[str | None, str | None]:
        """The name on both sides."""
        return self.legacy_get(user_id), self.new_get(user_id)

    # What an operator does.

    def walk(self, running: Running, stage: Stage) -> None:
        """Reach a stage as an operator would: copied, verified, moved."""
        for wanted in WALK[stage]:
            if wanted is Stage.LIVE:
                self.copy_all(running)
            self.move(running, wanted)
            self.wait(running, lambda node: node.ledger.migration.barrier_passed)

    def move(self, running: Running, wanted: Stage) -> None:
        """Move one stage, forward or back."""

        async def work(node: Node) -> None:
            forward = list(Stage).index(wanted) > list(Stage).index(node.ledger.migration.stage)
            changes = _service(node).changes
            await changes["promote" if forward else "rollback"](MoveAsked(wanted=wanted.value))

        running.on_node(work)

    def freeze(self, running: Running, *, off: bool = False) -> None:
        """Hold all writes, or let them go on."""

        async def work(node: Node) -> None:
            await _service(node).changes["freeze"](FreezeAsked(off=off))

        running.on_node(work)

    def copy_all(self, running: Running) -> None:
        """Copy and verify every profile."""

        async def copy(node: Node) -> None:
            await _service(node).changes["start_backfill"](BackfillAsked())

        async def verify(node: Node) -> None:
            await node.verifier.verify("profile", 1.0)

        running.on_node(copy)
        self.wait(running, _is_copied)
        running.on_node(verify)

    def set_canary(self, running: Running, percent: float) -> None:
        """Let new serve a share of the reads."""

        async def work(node: Node) -> None:
            asked = CanaryAsked(entity="profile", percent=percent)
            await _service(node).changes["set_canary"](asked)

        running.on_node(work)

    def counts(self, running: Running) -> Counts:
        """What is dirty, open, in doubt."""

        async def work(node: Node) -> Counts:
            return node.ledger.look(lambda rows: rows.counts())

        return running.on_node(work)

    def settle(self, running: Running) -> None:
        """Wait until nothing is dirty, open or in doubt."""

        def settled(node: Node) -> bool:
            counts = node.ledger.look(lambda rows: rows.counts())
            return not counts.dirty and not counts.open_intents and not counts.unbound_creates

        self.wait(running, settled)

    def wait(self, running: Running, true: Callable[[Node], bool]) -> None:
        """Wait, bounded, until something is true of the node."""

        async def work(node: Node) -> bool:
            return true(node)

        until = time.monotonic() + SECONDS_MAX
        while not running.on_node(work):
            assert time.monotonic() < until, "it did not become true in time"
            time.sleep(0.01)

    def found(self, running: Running, operation: str, *, at_least: int = 1) -> dict[str, Any]:
        """What comparisons found of an operation, once so many have ended."""
        seen: dict[str, Any] = {}

        def enough(node: Node) -> bool:
            document = _service(node).looks["diffs"]()
            assert isinstance(document, dict)
            for one in document["operations"]:
                if one["operation"] == operation:
                    seen.update(one["total"])
            seen["paths"] = [
                tuple(one["paths"]) for one in document["groups"] if one["operation"] == operation
            ]
            names = ("matched", "mismatched", "errors", "skipped", "refused_replays")
            ended = sum(int(seen.get(name, 0)) for name in names)
            return ended >= at_least

        self.wait(running, enough)
        return seen


def _service(node: Node) -> Service:
    return Service(node, outline_of(node.definition))


def _is_copied(node: Node) -> bool:
    covered: bool = node.ledger.look(lambda rows: is_complete(rows.entity("profile").coverage))
    return covered


def _name(file: Path, sql: str, user_id: int) -> str | None:
    with contextlib.closing(sqlite3.connect(file, timeout=SECONDS_MAX)) as connection:
        row = connection.execute(sql, (user_id,)).fetchone()
    return None if row is None else str(row[0])


def _change(file: Path, sql: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=SECONDS_MAX)) as connection, connection:
        connection.execute(sql, values)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """A command takes SIGTERM for itself."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


DEFINITION = """
from crossfade import Migration, SqlTable

shop = Migration("shop")
shop.entity(
    "profile",
    legacy=SqlTable("sqlite:///{legacy}", "profile", key="id"),
    new=SqlTable("sqlite:///{new}", "people", key="id"),
    to_new=lambda row: {{"id": row["id"], "name": row["full_name"]}},
    to_legacy=lambda row: {{"id": row["id"], "full_name": row["name"]}},
)
"""
