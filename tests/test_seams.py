"""Time, randomness, tasks, threads, queues and SQL text stay where STYLE.md puts them."""

import ast
import re
from collections.abc import Iterable, Iterator

import pytest

from tests.project_files import PythonFile, package_files

BANNED_MODULES = {
    "concurrent.futures", "multiprocessing", "random", "secrets", "signal", "threading", "time",
}  # fmt: skip
"""Importing one of these is asking the machine behind the seams' back."""

BANNED_NAMES = {
    "asyncio.create_task", "asyncio.ensure_future", "asyncio.run_coroutine_threadsafe",
    "asyncio.sleep", "asyncio.to_thread", "datetime.date.today", "datetime.datetime.now",
    "datetime.datetime.today", "datetime.datetime.utcnow", "os.getrandom", "os.urandom",
    "uuid.uuid1", "uuid.uuid4",
}  # fmt: skip
"""Calling one of these hides time, chance or a task from tests and simulation."""

BANNED_METHODS = {"add_signal_handler", "create_task", "run_in_executor"}
"""The same, as methods of an event loop."""

EVERYTHING = BANNED_MODULES | BANNED_NAMES | BANNED_METHODS

ADAPTERS: dict[str, tuple[set[str], str]] = {
    "src/crossfade/seams/": (EVERYTHING, "the seams themselves"),
    "src/crossfade/ledger/handover.py": ({"threading"}, "callers of several event loops"),
    "src/crossfade/ledger/postgres_nodes.py": ({"threading"}, "the thread that shows we live"),
    "src/crossfade/ledger/postgres_reader.py": ({"threading"}, "one connection, several callers"),
    "src/crossfade/ledger/postgres_route.py": ({"threading"}, "written by several threads"),
    "src/crossfade/ledger/postgres_writer.py": ({"threading"}, "the one thread that commits"),
    "src/crossfade/ledger/sqlite_reader.py": ({"threading"}, "one connection, several callers"),
    "src/crossfade/ledger/sqlite_writer.py": ({"threading"}, "the one thread that commits"),
    "src/crossfade/store/function_store.py": (
        {"concurrent.futures"},
        "a bounded number of threads for users' functions that block",
    ),
    "src/crossfade/store/sql_connections.py": (
        {"concurrent.futures"},
        "a bounded number of threads, since the drivers block",
    ),
    "src/crossfade/library/handed_comparer.py": ({"threading"}, "callers come from any thread"),
    "src/crossfade/library/nesting.py": ({"threading"}, "which thread a call is made in"),
    "src/crossfade/library/node_thread.py": (
        {"concurrent.futures", "threading"},
        "the one thread that keeps the node's event loop",
    ),
    "src/crossfade/library/running.py": (
        {"concurrent.futures"},
        "whoever starts and stops it is in another thread",
    ),
    "src/crossfade/library/shadow_tasks.py": ({"create_task"}, "tasks in the callers' own loops"),
    "src/crossfade/library/shadow_threads.py": (
        {"threading"},
        "a bounded number of daemon threads: the other side may hang for ever",
    ),
    "src/crossfade/backfill/child.py": (
        {"threading"},
        "a process hears that its node is gone while a mapping runs",
    ),
    "src/crossfade/demo/": (EVERYTHING, "stand-ins for services and users, which are not ours"),
    "src/crossfade/control/cli/running.py": ({"signal"}, "a command ends on SIGTERM"),
    "src/crossfade/control/cli/up.py": ({"signal", "add_signal_handler"}, "so does a node"),
    "src/crossfade/gateway/http_upstream.py": ({"asyncio.sleep"}, "a turn for closing sockets"),
    "src/crossfade/gateway/server.py": ({"asyncio.sleep"}, "a turn for closing sockets"),
    "src/crossfade/gateway/server_protocol.py": ({"create_task"}, "the server owns its requests"),
}
"""File or folder -> what it may use, and why."""

QUEUES = {
    "asyncio.LifoQueue", "asyncio.PriorityQueue", "asyncio.Queue", "collections.deque",
    "queue.LifoQueue", "queue.PriorityQueue", "queue.Queue", "queue.SimpleQueue",
}  # fmt: skip

BOUNDED_OTHERWISE: dict[str, str] = {
    "src/crossfade/library/mailbox.py": "holds the two messages of one write",
    "src/crossfade/library/shadow_threads.py": "holds no more than there are threads",
    "src/crossfade/demo/new_service.py": "holds a fixed number of connections",
    "src/crossfade/store/sql_connections.py": "holds a fixed number of connections",
    "src/crossfade/gateway/answer_body.py": "reading pauses when its bytes reach the bound",
    "src/crossfade/gateway/http_upstream.py": "connections and waiting calls are counted",
    "src/crossfade/gateway/server_protocol.py": "reading pauses while a request waits",
}
"""File -> what bounds the queues in it."""

SQL_TEXT = re.compile(
    r"\s*(select\s.*\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|replace\s+into\s|update\s+\S+\s+set\s"
    r"|delete\s+from\s|(create|drop|alter)\s+(unique\s+|temp\s+)?(table|index|trigger|view)\s"
    r"|pragma\s|begin(\s+immediate|\s+exclusive|\s+deferred)?\s*;?\s*$|vacuum\b|attach\s)",
    re.IGNORECASE | re.DOTALL,
)

SQL_ADAPTERS: dict[str, str] = {
    "src/crossfade/demo/": "the demo's services have databases of their own",
    "src/crossfade/store/mariadb_": "what only MariaDB says: catalogue, sequences, transactions",
    "src/crossfade/store/postgres_": "what only PostgreSQL says: catalogue, sequences, BEGIN",
    "src/crossfade/store/sqlite_dialect.py": "what only SQLite says: catalogue, PRAGMA, BEGIN",
}
"""File or folder -> why it may hold SQL text."""


def test_the_world_is_reached_through_the_seams() -> None:
    """No clock, randomness, thread, task or signal outside the seams and the listed adapters."""
    behind = [
        f"{file.name}:{line} uses {what}"
        for file in package_files()
        for what, line in outside_uses(file.tree)
        if what not in _allowed(file)
    ]

    assert behind == []


def test_every_queue_is_bounded() -> None:
    """A queue without a bound is a leak that waits for a slow day."""
    unbounded = [
        f"{file.name}:{line} {what}"
        for file in package_files()
        if file.name not in BOUNDED_OTHERWISE
        for what, line in unbounded_queues(file.tree)
    ]

    assert unbounded == []


def test_sql_lives_in_sql_files() -> None:
    """SQL text is in a named query file, or built by SQLAlchemy, or in a listed adapter."""
    texts = [
        f"{file.name}:{line} {text[:60]!r}"
        for file in package_files()
        if not file.name.startswith(tuple(SQL_ADAPTERS))
        for text, line in sql_texts(file.tree)
    ]

    assert texts == []


def test_exceptions_are_still_needed() -> None:
    """An adapter that is gone, or no longer uses what it may, leaves the list."""
    stale = []
    for name, (allowed, _) in ADAPTERS.items():
        used = {
            what
            for file in package_files()
            if file.name.startswith(name)
            for what, _ in outside_uses(file.tree)
        }
        stale += [f"{name} uses no {what}" for what in allowed - used if allowed is not EVERYTHING]
    for file in package_files():
        if file.name in BOUNDED_OTHERWISE and not any(unbounded_queues(file.tree)):
            stale.append(f"{file.name} makes no queue without a bound")
    for name in SQL_ADAPTERS:
        files = [file for file in package_files() if file.name.startswith(name)]
        if not any(any(sql_texts(file.tree)) for file in files):
            stale.append(f"{name} holds no SQL text")

    assert stale == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import time", ["time"]),
        ("from time import monotonic", ["time"]),
        ("import concurrent.futures", ["concurrent.futures"]),
        ("from concurrent import futures", ["concurrent.futures"]),
        ("import asyncio\nasyncio.sleep(1)", ["asyncio.sleep"]),
        ("import asyncio as loops\nloops.create_task(work())", ["asyncio.create_task"]),
        ("from asyncio import sleep\nsleep(1)", ["asyncio.sleep"]),
        ("from datetime import datetime\ndatetime.now()", ["datetime.datetime.now"]),
        ("import datetime\nnow = datetime.datetime.now", ["datetime.datetime.now"]),
        ("import uuid\nuuid.uuid4()", ["uuid.uuid4"]),
        ("loop.create_task(work())", ["create_task"]),
        ("import uuid\nuuid.UUID(text)", []),
        ("clock.sleep(1)", []),
    ],
)
def test_the_lint_sees_every_way_around_the_seams(code: str, expected: list[str]) -> None:
    """Each way to reach the world is found, whatever it is imported as."""
    found = [what for what, _ in outside_uses(ast.parse(code))]

    assert found == expected


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("import asyncio\nasyncio.Queue()", 1),
        ("import asyncio\nasyncio.Queue(0)", 1),
        ("import queue\nqueue.Queue(maxsize=0)", 1),
        ("import queue\nqueue.SimpleQueue()", 1),
        ("from collections import deque\ndeque()", 1),
        ("from collections import deque\nfield(default_factory=deque)", 1),
        ("from collections import deque\ndeque((), 10)", 0),
        ("from collections import deque\nwaiting: deque[int] = deque(maxlen=10)", 0),
        ("import asyncio\nwaiting: asyncio.Queue[int] = asyncio.Queue(waiting_max)", 0),
    ],
)
def test_the_lint_sees_every_unbounded_queue(code: str, count: int) -> None:
    """A queue counts as bounded only when its bound is given and is not zero."""
    assert len(list(unbounded_queues(ast.parse(code)))) == count


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('run("SELECT a\\nFROM b")', 1),
        ('run("PRAGMA synchronous = FULL")', 1),
        ('run(f"DELETE FROM {table}")', 1),
        ('run("BEGIN IMMEDIATE")', 1),
        ('"""Select a row from the table."""', 0),
        ('print("update the mapping, then run it again")', 0),
        ('print("begin with doctor")', 0),
    ],
)
def test_the_lint_tells_sql_from_prose(code: str, count: int) -> None:
    """A statement is found, a sentence is not."""
    assert len(list(sql_texts(ast.parse(code)))) == count


def outside_uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What a module uses of the outside world, with the line."""
    names = _imported_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from _within((alias.name for alias in node.names), node.lineno)
            case ast.ImportFrom(module=str() as module):
                imported = {module} | {f"{module}.{alias.name}" for alias in node.names}
                yield from _within(sorted(imported), node.lineno)
            case ast.Attribute() | ast.Name():
                yield from _uses_of_a_name(_dotted(node, names), node.lineno)


def unbounded_queues(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Queues that are made, or passed on to be made, without a bound."""
    names = _imported_names(tree)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    annotations = {id(part) for part in _annotation_parts(tree)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name) or id(node) in annotations:
            continue
        name = _dotted(node, names)
        if name not in QUEUES or _is_subscripted(node, tree):
            continue
        call = called.get(id(node))
        if call is None or not _has_bound(name, call):
            yield name, node.lineno


def sql_texts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """String constants that are SQL statements; docstrings and other prose are none."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in prose and SQL_TEXT.match(node.value):
            yield node.value, node.lineno


def _allowed(file: PythonFile) -> set[str]:
    allowed: set[str] = set()
    for name, (uses, _) in ADAPTERS.items():
        if file.name.startswith(name):
            allowed |= uses
    return allowed


def _within(modules: Iterable[str], line: int) -> Iterator[tuple[str, int]]:
    for module in modules:
        if module in BANNED_MODULES:
            yield module, line


def _uses_of_a_name(name: str, line: int) -> Iterator[tuple[str, int]]:
    if name in BANNED_NAMES:
        yield name, line
    elif "." in name and name.rpartition(".")[2] in BANNED_METHODS:
        yield name.rpartition(".")[2], line


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Local name -> the dotted name that it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.partition(".")[0]: alias.name
                for alias in node.names
                if alias.asname or "." not in alias.name
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`loops.sleep` as `asyncio.sleep`; what is no plain name starts with a question mark."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return "?"


def _annotation_parts(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign() | ast.arg(annotation=ast.expr()):
                yield from ast.walk(node.annotation)  # type: ignore[arg-type]
            case ast.FunctionDef(returns=ast.expr() as returns):
                yield from ast.walk(returns)


def _is_subscripted(node: ast.expr, tree: ast.Module) -> bool:
    return any(
        isinstance(other, ast.Subscript) and other.value is node for other in ast.walk(tree)
    )


def _has_bound(name: str, call: ast.Call) -> bool:
    keyword, position = ("maxlen", 1) if name == "collections.deque" else ("maxsize", 0)
    bounds = [each.value for each in call.keywords if each.arg == keyword]
    bounds += call.args[position : position + 1]
    return name != "queue.SimpleQueue" and any(
        not (isinstance(bound, ast.Constant) and not bound.value) for bound in bounds
    )
